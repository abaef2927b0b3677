// How the next token is chosen: one control for each setting that the server knows, with its meaning beside it.

import { $, el, escapeKey, show } from "./dom.js";
import { has, language, t } from "./i18n.js";
import { limits } from "./limits.js";
import { keep, kept } from "./storage.js";

const SLIDERS = new Set(["temperature", "top_p", "min_p", "repetition_penalty"]);
const STOP = { name: "stop", type: "array" };
const FOR_BEAM = new Set(["beam_width", "length_penalty", "max_tokens", "repetition_penalty", "no_repeat_ngram"]);
const FOR_SAMPLING = new Set(["temperature", "top_p", "top_k", "min_p", "seed"]);
let known = [];
let knownOfBeam = [];
let chosen = kept("decoding", {});
let strategy = kept("strategy", "sample");

export const isBeam = () => strategy === "beam";
export const strategyName = () => strategy;

const value = (setting) => chosen[setting.name] ?? setting.default ?? null;

/** What a request sends: every number, and `seed` and `stop` only if given. Greedy is temperature 0. */
export function decoding() {
  const body = {};
  for (const setting of known) {
    const now = value(setting);
    if (now === null || now === "" || (Array.isArray(now) && !now.length)) continue;
    body[setting.name] = now;
  }
  if (strategy === "greedy") body.temperature = 0;
  return body;
}

/** What /api/beam is sent. */
export function beamSearch() {
  const body = {};
  for (const setting of [...knownOfBeam, ...known]) {
    if (FOR_BEAM.has(setting.name) && value(setting) !== null) body[setting.name] = value(setting);
  }
  return { ...body, max_tokens: Math.min(body.max_tokens, limits.beam_tokens) };
}

function remember(name, now) {
  chosen[name] = now;
  keep("decoding", chosen);
}

/** The text of an input as the setting's value; null if it does not fit, undefined if it is empty. */
function read(setting, text) {
  if (setting.name === "stop") return text.split("\n").filter(Boolean).slice(0, limits.stops);
  if (text.trim() === "") return null;
  const now = Number(text);
  const whole = setting.type !== "integer" || Number.isInteger(now);
  const inside = now >= (setting.minimum ?? -Infinity) && now <= (setting.maximum ?? Infinity);
  return Number.isFinite(now) && whole && inside ? now : undefined;
}

function control(setting) {
  const { name } = setting;
  const id = `setting-${name}`;
  const now = value(setting);
  const sentence = has(`setting.${name}.meaning`) ? t(`setting.${name}.meaning`) : setting.meaning ?? "";
  const meaning = el("p.meaning", { id: `${id}-meaning`, text: sentence });
  const shared = { id, "aria-describedby": `${id}-meaning`, "data-name": name };
  const label = el("label", { for: id, text: has(`setting.${name}`) ? t(`setting.${name}`) : name });
  if (name === "stop") {
    const box = el("textarea", { ...shared, rows: 2, text: (now ?? []).join("\n") });
    box.addEventListener("input", () => remember(name, read(setting, box.value)));
    return el("div.setting", {}, label, box, meaning);
  }
  const range = { min: setting.minimum, max: setting.maximum, step: setting.type === "integer" ? 1 : 0.01 };
  const slides = SLIDERS.has(name) || name === "length_penalty";
  if (slides) range.step = 0.05;
  if (name === "top_p") range.min = 0.05;   // these two ends are not allowed
  if (name === "min_p") range.max = 0.95;
  const input = el("input", { ...shared, ...range, type: slides ? "range" : "number", value: now ?? "",
    placeholder: name === "seed" ? t("setting.seed.any") : null, inputmode: slides ? null : "numeric" });
  const shown = slides ? el("output", { for: id, text: String(now) }) : null;
  input.addEventListener("input", () => {
    const next = read(setting, input.value);
    input.setAttribute("aria-invalid", String(next === undefined));
    if (next === undefined) return;
    remember(name, next);
    if (shown) shown.textContent = String(next);
  });
  return el(slides ? "div.setting.slides" : "div.setting.types", {}, label, shown, input, meaning);
}

function draw() {
  const beam = isBeam();
  const matters = ({ name }) => (beam ? FOR_BEAM.has(name) : strategy === "sample" || !FOR_SAMPLING.has(name));
  const wanted = [...(beam ? knownOfBeam : []), ...known].filter(matters);
  $("#settings-list").replaceChildren(...wanted.map(control));
  $("#setting-strategy").value = strategy;
  $("#strategy-meaning").textContent = t(`strategy.${strategy}.meaning`);
}

/** Build the panel, and the beam's form in the view that looks inside, from what /api/settings says. */
export function knowSettings({ decoding: numbers, beam }) {
  known = [...numbers, STOP];
  knownOfBeam = beam;
  for (const { name, minimum, maximum, default: usual } of beam) {
    Object.assign($(`[data-setting="${name}"]`), { min: minimum, max: maximum, value: usual });
  }
  draw();
}

export function startSettings() {
  const button = $("#settings-button");
  const open = (visible) => {
    show($("#settings"), visible);
    button.setAttribute("aria-expanded", String(visible));
    keep("settings-open", visible);
  };
  open(kept("settings-open", false) && innerWidth >= 1100);
  button.addEventListener("click", () => open($("#settings").hidden));
  $("#settings-close").addEventListener("click", () => { open(false); button.focus(); });
  $("#settings").addEventListener("keydown", (event) => {
    if (!escapeKey(event)) return;
    event.stopPropagation();
    open(false);
    button.focus();
  });
  $("#setting-strategy").addEventListener("change", (event) => {
    strategy = event.target.value;
    keep("strategy", strategy);
    draw();
  });
  $("#settings-reset").addEventListener("click", () => {
    chosen = {};
    strategy = "sample";
    keep("decoding", chosen);
    keep("strategy", strategy);
    draw();
  });
  language.addEventListener("change", draw);
}
