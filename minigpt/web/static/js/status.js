// Is anybody there? The line below the header says what the server is doing when it is not simply ready.

import { call, connection, setToken, wait } from "./api.js";
import { $, show } from "./dom.js";
import { language, t } from "./i18n.js";

const LONGEST = 30;  // seconds between two tries
export const server = new EventTarget();  // says "ready" whenever the server has come (back) up
let state = "starting";
let trying = null;
let message = () => "";

function say(next, text = () => "", button = false) {
  state = next;
  message = text;
  document.documentElement.dataset.server = next;
  const line = message();
  if ($("#banner-text").textContent !== line) $("#banner-text").textContent = line;
  show($("#banner-retry"), button);
  show($("#banner"), line !== "");
}

/** Ask /health until it says ok; waits longer and longer while nobody answers. */
async function knock() {
  trying?.abort();
  trying = new AbortController();
  const { signal } = trying;
  for (let pause = 1; ; pause = Math.min(2 * pause, LONGEST)) {
    try {
      await call("GET", "/health", undefined, { signal });
      const fresh = state !== "ready";
      say("ready");
      if (fresh) server.dispatchEvent(new Event("ready"));
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) return;
      if (!error.gone) {
        pause = 1;
        say("loading", () => t(error.answer?.status === "stopping" ? "status.stopping" : "status.loading"));
      }
    }
    const gone = state === "gone" || state === "starting";
    const tick = (left) => { if (gone) say("gone", () => t("status.gone", { seconds: left }), true); };
    try {
      await wait(pause, tick, signal);
    } catch {
      return;  // another knock has begun
    }
  }
}

function askForToken() {
  const dialog = $("#token-dialog");
  if (dialog.open) return;
  say("locked");
  dialog.showModal();
}

export function startStatus() {
  $("#banner-retry").addEventListener("click", knock);
  language.addEventListener("change", () => { if (state !== "starting") $("#banner-text").textContent = message(); });
  connection.addEventListener("gone", () => {
    if (state === "gone" || state === "starting" || state === "loading") return;
    state = "gone";
    knock();
  });
  connection.addEventListener("token", askForToken);
  $("#token-dialog").addEventListener("close", () => {
    setToken($("#token-input").value.trim());
    knock();
  });
  addEventListener("online", knock);
  return knock();
}
