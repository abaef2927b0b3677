// One page, five views: the hash says which. A view's start() runs the first time it is seen, its enter() every time.

import { $, $$ } from "./dom.js";

const views = new Map();
let current = null;

export function addView(name, { start = () => {}, enter = () => {}, leave = () => {} }) {
  views.set(name, { start, enter, leave, started: false });
}

export const isShown = (name) => current === name;

export function go(name) {
  if (location.hash === `#/${name}`) change();
  else location.hash = `#/${name}`;
}

async function change() {
  const asked = location.hash.replace(/^#\/?/, "");
  const name = views.has(asked) ? asked : "chat";
  const moved = current !== null && current !== name;
  if (moved) views.get(current).leave();
  current = name;
  for (const section of $$("main > section")) section.hidden = section.id !== `view-${name}`;
  for (const link of $$("#views a")) {
    if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (moved) {
    scrollTo(0, 0);
    $(`#view-${name} h1`).focus({ preventScroll: true });  // a screen reader hears where it is
  }
  const view = views.get(name);
  if (!view.started) {
    view.started = true;
    await view.start();
  }
  view.enter();
}

export function startRouter() {
  addEventListener("hashchange", change);
  return change();
}
