// Live values of a rollout: asks whether anything has changed, and changes only what did. What is
// focused, opened or half typed stays as it is, since the elements themselves stay.
(() => {
  const SLOWEST = 60; // seconds between two questions while nobody answers
  const stale = document.getElementById("live-stale");
  let mark = "";
  let failures = 0;
  let timer = 0;
  let answered = Date.now(); // the service shows nothing older than that after the usual pause
  let ahead = 0; // milliseconds by which the server's clock is ahead of this one

  const key = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || "" : "");
  const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && key(a) === key(b);

  function become(old, wanted) {
    if (old.isEqualNode(wanted)) return;
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== wanted.nodeValue) old.nodeValue = wanted.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!wanted.hasAttribute(name) && !(old.nodeName === "DETAILS" && name === "open")) old.removeAttribute(name);
    }
    for (const { name, value } of wanted.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    if (old.nodeName !== "TEXTAREA") becomeInside(old, wanted);
  }

  function becomeInside(old, wanted) {
    const kept = new Map();
    const asked = new Set([...wanted.children].map(key).filter(Boolean));
    for (const child of [...old.children]) {
      if (!key(child)) continue;
      if (asked.has(key(child))) kept.set(key(child), child);
      else child.remove();
    }
    let here = old.firstChild;
    for (const one of [...wanted.childNodes]) {
      const known = key(one) ? kept.get(key(one)) : here;
      if (known && alike(known, one)) {
        if (known === here) here = here.nextSibling;
        else if (old.moveBefore) old.moveBefore(known, here);
        else old.insertBefore(known, here);
        become(known, one);
      } else {
        old.insertBefore(document.importNode(one, true), here);
      }
    }
    while (here) {
      const next = here.nextSibling;
      if (!key(here) || !asked.has(key(here))) here.remove();
      here = next;
    }
  }

  function show(text) {
    const parts = new DOMParser().parseFromString(text, "text/html").body.children;
    const focused = document.activeElement;
    for (const part of [...parts]) {
      const old = document.getElementById(part.id);
      if (old) become(old, part);
    }
    if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  }

  // As patchmgr.domain.durations.words says it: the two largest units, whole minutes at least.
  function length(milliseconds) {
    const seconds = Math.max(0, Math.floor(milliseconds / 1000));
    const counts = [
      [Math.floor(seconds / 86400), "d"],
      [Math.floor(seconds / 3600) % 24, "h"],
      [Math.floor(seconds / 60) % 60, "min"],
      [seconds % 60, "s"],
    ];
    const first = counts.findIndex(([count]) => count);
    if (first < 0) return "0 min";
    return counts.slice(first, first + 2).filter(([count]) => count).map(([count, unit]) => `${count} ${unit}`).join(" ");
  }

  function count() {
    const now = Date.now() + ahead;
    for (const one of document.querySelectorAll("[data-since]")) {
      const since = Date.parse(one.dataset.since);
      one.textContent = length(Math.min(now, Date.parse(one.dataset.until)) - since);
    }
    for (const one of document.querySelectorAll("[data-left-until]")) {
      one.textContent = length(Date.parse(one.dataset.leftUntil) - now);
    }
  }

  function learnClock() {
    const live = document.getElementById("live");
    if (live && live.dataset.now) ahead = Date.parse(live.dataset.now) - Date.now();
  }

  async function ask() {
    const live = document.getElementById("live");
    if (!live || !live.dataset.live) return;
    try {
      const answer = await fetch(live.dataset.live, {
        headers: { "HX-Request": "true", ...(mark ? { "If-None-Match": mark } : {}) },
        cache: "no-store",
      });
      if (answer.status === 401) {
        location.assign(answer.headers.get("HX-Redirect") || location.href);
        return;
      }
      if (answer.status === 200) {
        show(await answer.text());
        mark = answer.headers.get("ETag") || "";
        learnClock();
      } else if (answer.status !== 304) {
        throw new Error(answer.statusText);
      }
      failures = 0;
    } catch {
      failures += 1;
    }
    answered = Date.now();
    if (stale) stale.hidden = failures < 2;
    count();
    plan();
  }

  function plan() {
    const live = document.getElementById("live");
    window.clearTimeout(timer);
    if (!live || !live.dataset.live || document.hidden) return;
    const seconds = Math.min(SLOWEST, Number(live.dataset.every) * 2 ** failures);
    timer = window.setTimeout(ask, Math.max(0, answered + seconds * 1000 - Date.now()));
  }

  document.addEventListener("visibilitychange", plan);
  learnClock();
  window.setInterval(count, 1000);
  plan();
})();
