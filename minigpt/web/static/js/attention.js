// One attention head at a time: a triangle of what every token looks at, the chosen row as bars, and a sentence.

import { call } from "./api.js";
import { $, el, roving, svg } from "./dom.js";
import { guarded } from "./errors.js";
import { number, t } from "./i18n.js";
import { subject } from "./specimen.js";
import { visible } from "./tokens.js";

const LAST = 40;     // tokens in the picture: more would be too fine to read
const CELL = 12;
let place = { layer: 0, head: 0 };
let controller = null;

const bare = (token) => visible(token).replaceAll("·", "") || visible(token);

/** "'it' looks most at 'ship' (0.41)". */
const looks = (from, to, weight) => t("attention.sentence", { from: bare(from), to: bare(to), weight: number(weight) });

function triangle(found, choose) {
  const { tokens, weights } = found;
  const size = CELL * tokens.length;
  const box = { viewBox: `-1 -1 ${size + 2} ${size + 2}`, width: Math.min(400, 1.8 * size) };
  const picture = svg("svg.triangle", { ...box, "aria-hidden": "true" });   // the strip beside it says the same
  weights.forEach((row, i) => row.forEach((weight, j) => {
    const cell = { x: CELL * j, y: CELL * i, width: CELL - 1, height: CELL - 1, share: weight, "data-row": i };
    picture.append(svg("rect.cell", cell, svg("title", { text: looks(tokens[i], tokens[j], weight) })));
  }));
  const frame = svg("rect.row-frame", { x: -0.5, width: size, height: CELL, y: 0 });
  picture.append(frame);
  picture.addEventListener("click", ({ target }) => { if (target.dataset.row) choose(Number(target.dataset.row)); });
  const mark = (row) => {
    frame.setAttribute("y", CELL * row - 0.5);
    frame.setAttribute("width", CELL * (row + 1));
  };
  return { picture, mark };
}

/** The row to begin with: the one in the answer that looks hardest at one other word. */
function telling({ tokens, strongest, sentence }) {
  const start = tokens.findLastIndex((token) => token.kind === "role");
  const weight = (row) => (row > start && tokens[row].kind === "text" && strongest[row]?.weight) || 0;
  const best = tokens.reduce((most, _, row) => (weight(row) > weight(most) ? row : most), 0);
  return weight(best) ? best : sentence?.from ?? tokens.length - 1;
}

function view(found) {
  const { tokens, weights, strongest, left_out: leftOut, offset } = found;
  const sentence = el("p.sentence", { "aria-live": "polite" });
  const button = (token, i) => el(`button.token.${token.kind}`,
    { type: "button", "data-index": i, "aria-pressed": "false", onclick: () => choose(i) },
    el("span.piece", { text: visible(token) }), el("span.bar"), el("span.weight"));
  const strip = el("div.strip.attended", { role: "group", "aria-label": t("attention.tokens") }, ...tokens.map(button));
  const { picture, mark } = triangle(found, (row) => { choose(row); strip.children[row].focus(); });

  function choose(row) {
    const heaviest = weights[row].map((weight, j) => [weight, j]).sort(([a], [b]) => b - a).slice(0, 5)
      .filter(([weight]) => weight >= 0.05).map(([, j]) => j);
    [...strip.children].forEach((button, j) => {
      const weight = weights[row][j] ?? 0;
      button.setAttribute("aria-pressed", String(j === row));
      button.classList.toggle("later", j > row);
      button.style.setProperty("--share", weight);
      $(".weight", button).textContent = heaviest.includes(j) ? number(weight) : "";
    });
    const best = strongest[row];
    sentence.textContent = best ? looks(tokens[row], tokens[best.to], best.weight)
      : t("attention.nowhere", { from: bare(tokens[row]) });
    if (offset && leftOut[row] >= 0.005) {
      sentence.append(` ${t("attention.leftOut", { weight: number(leftOut[row]) })}`);
    }
    mark(row);
  }
  roving(strip, "button", (button, i) => choose(i));
  const first = telling(found);
  choose(first);
  [...strip.children].forEach((button, i) => { button.tabIndex = i === first ? 0 : -1; });
  return el("div.attention", {}, sentence, el("div.attention-grid", {}, strip, picture));
}

function pickers(found, answer) {
  const picker = (name, count) => {
    const select = el("select", { id: `attention-${name}` },
      ...Array.from({ length: count }, (_, i) => el("option", { value: i, text: number(i + 1) })));
    select.value = found[name];
    select.addEventListener("change", () => {
      place[name] = Number(select.value);
      attention(answer).then(() => $(`#attention-${name}`)?.focus());
    });
    return el("span.field", {}, el("label", { for: `attention-${name}`, text: t(`attention.${name}`) }), select,
      el("span.muted", { text: t("attention.of", { count }) }));
  };
  return el("div.row", {}, picker("layer", found.layers), picker("head", found.heads));
}

export async function attention(answer) {
  controller?.abort();
  controller = new AbortController();
  const { signal } = controller;
  await guarded($("#attention-error"), async () => {
    try {
      const ask = (where) => call("POST", "/api/attention", { ...subject(answer), ...where, last: LAST }, { signal });
      const found = await ask(place).catch((error) => {
        if (error.status !== 400) throw error;
        place = { layer: 0, head: 0 };  // another model, with fewer layers
        return ask(place);
      });
      $("#attention").replaceChildren(pickers(found, answer), view(found));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  });
}
