// Shows how far an upload is: the file goes as the body of a request of its own, which the server
// writes to disk as it arrives. Without this file the form sends it, and the browser shows progress.
const form = document.querySelector("form[data-upload]");

form?.addEventListener("submit", (event) => {
  const file = form.elements.file.files[0];
  if (!file) return; // the server says what is missing
  event.preventDefault();
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string" && name !== "csrf_token") fields.set(name, value);
  }
  fields.set("name", file.name);

  const box = form.querySelector(".upload-progress");
  const bar = box.querySelector("progress");
  const words = box.querySelector("span");
  const button = form.querySelector("button[type=submit]");
  const say = (text, failed = false) => {
    words.textContent = text;
    box.classList.toggle("has-failed", failed);
    if (failed) button.disabled = false;
  };
  const leaving = (leave) => leave.preventDefault();
  const mebibytes = (bytes) => (bytes / 1048576).toFixed(1);

  const request = new XMLHttpRequest();
  request.open("POST", `${form.dataset.upload}?${fields}`);
  request.responseType = "json";
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.setRequestHeader("X-CSRFToken", form.elements.csrf_token.value);
  request.upload.addEventListener("progress", (at) => {
    bar.value = at.total ? (100 * at.loaded) / at.total : 0;
    say(`${mebibytes(at.loaded)} of ${mebibytes(at.total)} MiB sent`);
  });
  request.addEventListener("load", () => {
    window.removeEventListener("beforeunload", leaving);
    if (request.status === 201) window.location.assign(request.response.address);
    else say(request.response?.problem ?? `The server refused the file (${request.status}).`, true);
  });
  request.addEventListener("error", () => {
    window.removeEventListener("beforeunload", leaving);
    say("The connection broke off before all was sent. Nothing was kept; send it again.", true);
  });
  window.addEventListener("beforeunload", leaving);
  button.disabled = true;
  box.hidden = false;
  say("Sending");
  request.send(file);
});
