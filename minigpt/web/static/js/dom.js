// Building the page by hand: text only ever goes in as text, so nothing a model or a student writes can become markup.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "share") node.style.setProperty("--share", value);  // the CSSOM is open to us, style="" is not
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** el("button.quiet", {type: "button", onclick: f}, "Copy"): an element with classes, attributes and children. */
export function el(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag);
  node.classList.add(...classes);
  return fill(node, properties, children);
}

/** The same for a drawing: attributes only, the look comes from classes. */
export function svg(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElementNS(SVG, tag);
  node.classList.add(...classes);
  return fill(node, properties, children);
}

/** Hidden for everybody, screen readers too. */
export function show(node, visible = true) {
  node.hidden = !visible;
  return node;
}

/** Offer `text` as a file: a blob, because a plain link could not carry the token. */
export function save(filename, text, type = "text/plain") {
  const url = URL.createObjectURL(new Blob([text], { type }));
  el("a", { href: url, download: filename }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** Left and right (or up and down) move the focus in a row of which only one is a tab stop. */
export function roving(container, selector, onfocus = () => {}) {
  const items = () => $$(selector, container).filter((item) => !item.disabled);
  container.addEventListener("keydown", (event) => {
    const all = items();
    const at = all.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : at + step;
    if (at < 0 || Number.isNaN(to) || !all[to]) return;
    event.preventDefault();
    all[to].focus();
  });
  container.addEventListener("focusin", (event) => {
    const all = items();
    if (!all.includes(event.target)) return;
    for (const item of all) item.tabIndex = item === event.target ? 0 : -1;
    onfocus(event.target, all.indexOf(event.target));
  });
  items().forEach((item, i) => { item.tabIndex = i === 0 ? 0 : -1; });
}

export const escapeKey = (event) => event.key === "Escape" && !event.isComposing;
