// Every sentence of the page comes from static/i18n/LANGUAGE.json. A new language is a new file there.

import { $$ } from "./dom.js";
import { keep, kept } from "./storage.js";

const FALLBACK = "en";
const ATTRIBUTES = {
  "data-i18n-label": "aria-label", "data-i18n-placeholder": "placeholder", "data-i18n-title": "title",
};
let words = {};
let spare = {};
let languages = ["en", "zh-Hans"];
let current = FALLBACK;
export const language = new EventTarget();  // says "change"

/** The text of `key`, its {places} filled in. */
export function t(key, places = {}) {
  const text = words[key] ?? spare[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => places[name] ?? whole);
}

export const has = (key) => key in words || key in spare;

/** A number as this language writes it, with at most `digits` after the point. */
export const number = (value, digits = 2) =>
  value === null || value === undefined ? "–" : value.toLocaleString(current, { maximumFractionDigits: digits });

export const percent = (value, digits = 0) =>
  value.toLocaleString(current, { style: "percent", maximumFractionDigits: digits });

/** A probability: small ones do not become a plain zero. */
export const chance = (p) => (p > 0 && p < 0.0005 ? `<${percent(0.0005, 2)}` : percent(p, p < 0.1 ? 1 : 0));

export const when = (iso) =>
  iso ? new Date(iso).toLocaleString(current, { dateStyle: "medium", timeStyle: "short" }) : "–";

/** Fill in what index.html marks: data-i18n (text), data-i18n-label, -placeholder, -title. */
export function translate(root = document) {
  for (const node of $$("[data-i18n]", root)) node.textContent = t(node.dataset.i18n);
  for (const [mark, attribute] of Object.entries(ATTRIBUTES)) {
    for (const node of $$(`[${mark}]`, root)) node.setAttribute(attribute, t(node.getAttribute(mark)));
  }
}

const dictionary = async (code) => (await fetch(`/static/i18n/${code}.json`)).json();

/** The best of our languages for this reader: chosen before, else the browser's, by language and then by script. */
function choose() {
  for (const tag of [kept("language"), ...navigator.languages].filter(Boolean)) {
    const wish = new Intl.Locale(tag).maximize();
    const same = (code) => {
      const ours = new Intl.Locale(code).maximize();
      return ours.language === wish.language && ours.script === wish.script;
    };
    const found = languages.find(same) ?? languages.find((code) => code.split("-")[0] === wish.language);
    if (found) return found;
  }
  return FALLBACK;
}

export async function setLanguage(code) {
  words = await dictionary(code);
  current = code;
  document.documentElement.lang = code;
  document.title = t("page.title");
  translate();
  language.dispatchEvent(new Event("change"));
}

/** Fill `select` with the languages, each under its own name, and follow it. */
function offer(select) {
  select.replaceChildren(...languages.map((code) => {
    const name = new Intl.DisplayNames([code], { type: "language" }).of(code);
    return Object.assign(document.createElement("option"), { value: code, textContent: name, lang: code });
  }));
  select.value = current;
}

export async function startLanguage(select) {
  spare = await dictionary(FALLBACK);
  await setLanguage(choose());
  offer(select);
  select.addEventListener("change", () => {
    keep("language", select.value);
    setLanguage(select.value);
  });
}

/** The server has told which dictionaries there are. */
export function knowLanguages(codes, select) {
  if (!codes?.length) return;
  languages = codes;
  offer(select);
  const best = choose();
  if (best !== current) setLanguage(best).then(() => offer(select));
}
