// What a screen reader is told: whole answers when they are finished, never single tokens.

import { $, el } from "./dom.js";

const KEPT = 20;

export function announce(text) {
  const log = $("#announcer");
  log.append(el("p", { text }));
  while (log.children.length > KEPT) log.firstChild.remove();
}
