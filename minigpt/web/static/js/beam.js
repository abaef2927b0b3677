// Beam search as the tree that it is: every candidate it kept, those that fell out, and the path that won.

import { call } from "./api.js";
import { $, el, svg } from "./dom.js";
import { guarded } from "./errors.js";
import { number, t } from "./i18n.js";
import { visible } from "./tokens.js";

const STEP = 80;
const ROW = 30;
let asked = null;

/** A row for each leaf, from top to bottom; an inner node sits level with its best child. */
function layout(nodes) {
  const children = new Map();
  for (const node of nodes) children.set(node.parent, [...(children.get(node.parent) ?? []), node]);
  const rank = { best: 0, ended: 1, kept: 1, dropped: 2 };
  const at = new Map();
  let rows = 0;
  const place = (node) => {
    const below = (children.get(node.id) ?? []).sort((a, b) => rank[a.state] - rank[b.state] || b.total - a.total);
    at.set(node.id, { x: node.depth * STEP, row: below.length ? Math.min(...below.map(place)) : rows++ });
    return at.get(node.id).row;
  };
  place(nodes[0]);
  return { at, rows };
}

function tree({ nodes }) {
  const { at, rows } = layout(nodes);
  const depth = Math.max(...nodes.map((node) => node.depth));
  const width = depth * STEP + 66;
  const height = rows * ROW + 8;
  const y = (id) => at.get(id).row * ROW + 18;
  const box = { viewBox: `0 0 ${width} ${height}`, width, height };
  const picture = svg("svg.tree", { ...box, role: "img", "aria-label": t("beam.label") });
  for (const node of [...nodes].reverse()) {
    if (node.parent === null) continue;
    const [x1, y1, x2, y2] = [at.get(node.parent).x + 64, y(node.parent), at.get(node.id).x, y(node.id)];
    const bend = (x1 + x2) / 2;
    picture.append(svg(`path.branch.${node.state}`, { d: `M${x1} ${y1}C${bend} ${y1} ${bend} ${y2} ${x2} ${y2}` }));
  }
  for (const node of nodes) {
    const { x } = at.get(node.id);
    const text = !node.token ? t("beam.start") : node.token.kind === "end" ? t("beam.end") : visible(node.token);
    const sign = node.token?.kind === "end" ? " ■" : node.state === "dropped" ? " ×" : "";
    const room = 8 - sign.length;
    const short = text.length > room ? `${text.slice(0, room - 1)}…` : text;
    picture.append(svg(`g.node.${node.state}`, {},
      svg("rect", { x, y: y(node.id) - 12, width: 64, height: 24, rx: 4 }),
      svg("text", { x: x + 32, y: y(node.id) + 4, "text-anchor": "middle", text: short + sign }),
      svg("title", { text: t("beam.node", { text, logprob: number(node.logprob), total: number(node.total) }) })));
  }
  return el("div.tree-scroll", { tabindex: 0, role: "region", "aria-label": t("beam.label") }, picture);
}

function leaves({ leaves: all }) {
  return el("ol.leaves", {}, ...all.map((leaf, i) => el("li", { class: i === 0 ? "best" : null },
    el("span.leaf-text", { text: leaf.text || "∅" }),
    el("span.muted", { text: t(leaf.finished ? "beam.leaf" : "beam.leafUnfinished",
      { score: number(leaf.score), logprob: number(leaf.logprob) }) }))));
}

async function search(answer) {
  $("#beam-search").disabled = true;
  await guarded($("#beam-error"), async () => {
    const found = await call("POST", "/api/beam", { model: answer.model, messages: answer.messages, mode: answer.mode,
      beam_width: Number($("#beam-width").value), max_tokens: Number($("#beam-tokens").value),
      length_penalty: Number($("#beam-penalty").value) });
    $("#beam").replaceChildren(tree(found), el("p.muted", { text: t("beam.legend") }), leaves(found));
  });
  $("#beam-search").disabled = false;
}

/** The tree of another answer is not this one's: clear it, and offer to search again. */
export function beam(answer) {
  if (asked !== answer) $("#beam").replaceChildren();
  asked = answer;
  $("#beam-form").onsubmit = (event) => { event.preventDefault(); search(answer); };
}
