// Our few signs, drawn on a grid of 20 with one pen.

import { svg } from "./dom.js";

const PATHS = {
  copy: "M7 7h9v9H7z M13 7V4H4v9h3",
  again: "M16 10a6 6 0 1 1-2-4.5 M16 3v3.5h-3.5",
  edit: "M4 16l1-4 8-8 3 3-8 8z M11.5 5.5l3 3",
  up: "M7 9v7H4V9z M7 9l3-6c1.5 0 2 1 1.7 2.5L11.3 8H15a1.5 1.5 0 0 1 1.5 1.8l-1 5A1.5 1.5 0 0 1 14 16H7",
  down: "M7 11V4H4v7z M7 11l3 6c1.5 0 2-1 1.7-2.5L11.3 12H15a1.5 1.5 0 0 0 1.5-1.8l-1-5A1.5 1.5 0 0 0 14 4H7",
  look: "M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11z M13 13l4 4",
  seed: "M6 6l-4 4 4 4 M14 6l4 4-4 4 M11.5 4l-3 12",
  left: "M12 4l-6 6 6 6",
  right: "M8 4l6 6-6 6",
  send: "M10 16V4 M5 9l5-5 5 5",
  stop: "M6 6h8v8H6z",
  cross: "M5 5l10 10 M15 5L5 15",
};

export const icon = (name) =>
  svg("svg.icon", { viewBox: "0 0 20 20", "aria-hidden": "true", focusable: "false" }, svg("path", { d: PATHS[name] }));
