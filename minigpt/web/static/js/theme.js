// Light, dark, or as the system has it. The colours themselves live in css/base.css.

import { keep, kept } from "./storage.js";

export const THEMES = ["system", "light", "dark"];

function apply(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function startTheme(select) {
  select.value = THEMES.includes(kept("theme")) ? kept("theme") : "system";
  apply(select.value);
  select.addEventListener("change", () => {
    keep("theme", select.value);
    apply(select.value);
  });
}
