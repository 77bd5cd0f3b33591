// Sends a file in pieces, each with where it begins and a digest of all up to its end, so that what
// breaks off goes on where it stopped: after a pause by itself, and when the same file is chosen
// again. The server keeps what it has; see the API's /uploads. Without this file the form sends it.
const form = document.querySelector("form[data-upload]");
const PAUSES = [1, 2, 4, 8, 15, 30, 30, 30, 30, 30]; // seconds before a piece is tried again
const BUSY = [0, 429, 502, 503, 504]; // answers after which it may go well; 0: none came

form?.addEventListener("submit", async (event) => {
  const file = form.elements.file.files[0];
  if (!file) return; // the server says what is missing
  event.preventDefault();
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  form.querySelector(".upload-progress").hidden = false;
  say("Looking for what is here of it already");
  try {
    const whole = await send(file, await begin(file));
    window.location.assign(form.dataset.import.replace(/0$/, whole.import_id));
  } catch (error) {
    button.disabled = false;
    const changed = "The file cannot be read any more; if it has changed, choose it again.";
    say(error instanceof DOMException ? changed : error.message, true);
  }
});

async function begin(file) {
  const fields = new FormData(form);
  const said = {
    ...Object.fromEntries(["kind", "mode", "source", "encoding"].map((name) => [name, fields.get(name).trim()])),
    full_export: fields.has("full_export"),
    filename: file.name,
    size: file.size,
    modified: file.lastModified,
  };
  const found = await ask("POST", form.dataset.upload, JSON.stringify(said), "application/json");
  if ((await digestOf(file, found)) === found.digest) return found;
  return ask("POST", form.dataset.upload, JSON.stringify({ ...said, anew: true }), "application/json");
}

async function send(file, found) {
  let upload = found;
  const address = `${form.dataset.upload}/${upload.id}`;
  while (upload.import_id === null) {
    const before = upload.received;
    const piece = await read(file, before, upload.piece);
    const digest = chained(upload.digest, piece);
    const query = new URLSearchParams({ offset: before, digest });
    const sent = (bytes) => progress(Math.min(before + bytes, file.size), file.size);
    sent(0);
    try {
      upload = await ask("POST", `${address}/pieces?${query}`, piece, "application/octet-stream", sent);
    } catch (error) {
      if (error.status !== 409) throw error;
      upload = await ask("GET", address); // another window sends it too, or our last answer was lost
      const same = (await digestOf(file, upload)) === upload.digest;
      if (upload.received === before || !same) throw error;
    }
  }
  return upload;
}

// What the server would have as digest of so many bytes of this file.
async function digestOf(file, upload) {
  let digest = "";
  for (let at = 0; at < upload.received; at += upload.piece) {
    digest = chained(digest, await read(file, at, upload.piece));
  }
  return digest;
}

const read = (file, at, bytes) => file.slice(at, at + bytes).arrayBuffer();

function chained(before, piece) {
  const digest = sha256(piece);
  return before ? sha256(new TextEncoder().encode(before + digest).buffer) : digest;
}

async function ask(method, address, body, type, sent = () => {}) {
  for (const pause of [...PAUSES, 0]) {
    const request = await once(method, address, body, type, sent);
    if (request.status >= 200 && request.status < 300) return request.response;
    if (!BUSY.includes(request.status) || !pause) throw refused(request);
    const seconds = Math.max(pause, Number(request.getResponseHeader("Retry-After")) || 0);
    say(`${request.status ? "The service is busy" : "The connection broke off"}; trying again in ${seconds} s`);
    await new Promise((go) => { setTimeout(go, seconds * 1000); });
  }
  return null;
}

function once(method, address, body, type, sent) {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    request.responseType = "json";
    if (type) request.setRequestHeader("Content-Type", type);
    request.setRequestHeader("X-CSRFToken", form.elements.csrf_token.value);
    request.upload.addEventListener("progress", (at) => sent(at.loaded));
    request.addEventListener("loadend", () => done(request));
    request.send(body);
  });
}

function refused(request) {
  const kept = "What was sent is kept: choose the file again, and it goes on from there.";
  const words = {
    0: `The service does not answer. ${kept}`,
    401: `You are signed out. Sign in again. ${kept}`,
    404: "It was discarded elsewhere; send it again.",
  }[request.status];
  const said = request.response?.detail ?? `The service answered ${request.status}. ${kept}`;
  return Object.assign(new Error(words ?? said), { status: request.status });
}

function progress(bytes, size) {
  const mebibytes = (count) => (count / 1048576).toFixed(1);
  form.querySelector(".upload-progress progress").value = (100 * bytes) / size;
  say(`${mebibytes(bytes)} of ${mebibytes(size)} MiB sent. What is sent is kept if you leave.`);
}

function say(text, failed = false) {
  const box = form.querySelector(".upload-progress");
  box.querySelector("span").textContent = text;
  box.classList.toggle("has-failed", failed);
}
