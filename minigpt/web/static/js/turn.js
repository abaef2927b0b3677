// One turn on the screen: its text, what is known about it, and what can be done with it.

import { el, svg } from "./dom.js";
import { icon } from "./icons.js";
import { number, t } from "./i18n.js";
import { asCurl, asPython } from "./reproduce.js";

export function action(name, label, onclick, more = {}) {
  const named = { type: "button", "aria-label": label, title: label, "data-action": name };
  return el("button.icon-button", { ...named, onclick, ...more }, icon(name));
}

/** ‹ 2/3 ›: the branches beside this turn. */
function branches(chat, turn, busy) {
  const all = chat.conversation.siblings(turn);
  if (all.length < 2) return null;
  const at = all.indexOf(turn);
  const place = t("chat.branch", { at: at + 1, of: all.length });
  const arrow = (name, label, step) =>
    action(name, t(label), () => chat.turnTo(turn, step), { disabled: busy || !all[at + step] });
  return el("span.branches", { role: "group", "aria-label": place }, arrow("left", "chat.branch.previous", -1),
    el("span.branch-place", { text: `${at + 1}/${all.length}` }), arrow("right", "chat.branch.next", 1));
}

/** "seed 7 · 21 tokens · 0.8 s", and why it ended if it did not end by itself. */
function about(turn) {
  const ended = turn.note === "stopped" ? t("chat.stopped") : turn.note === "deadline" ? t("chat.deadline")
    : turn.finish === "length" ? t("chat.truncated") : null;
  const facts = [
    turn.model,
    turn.seed !== undefined && t("chat.seed", { seed: turn.seed }),
    turn.ids && t("chat.tokens", { count: turn.ids.length }),
    turn.seconds !== undefined && t("chat.seconds", { seconds: number(turn.seconds, turn.seconds < 1 ? 2 : 1) }),
  ];
  return el("p.about", {}, ...facts.filter(Boolean).map((fact) => el("span", { text: fact })),
    ended && el("span.ended", { text: ended }));
}

function thumbs(chat, turn) {
  if (!turn.answerId) return [];
  return ["up", "down"].map((thumb) => action(thumb, t(`chat.thumb.${thumb}`),
    () => chat.rate(turn, turn.thumb === thumb ? "none" : thumb), { "aria-pressed": String(turn.thumb === thumb) }));
}

/** Seed, request and Python call behind an answer, with a button to run the very same again. */
function recipe(chat, turn, busy) {
  const { path, body, strategy } = turn.request;
  const fixed = turn.seed === undefined ? body : { ...body, seed: turn.seed };
  for (const name of ["chat_id", "stream"]) delete fixed[name];
  const copyable = (label, text) => el("div.code-block", {}, el("p.code-label", { text: label }),
    el("pre", { tabindex: 0, text }), action("copy", t("chat.copy"), () => chat.copy(text)));
  const onlyLast = body.messages.length > 1 && body.mode !== "qa";
  return el("div.recipe", {},
    el("p", { text: turn.seed === undefined ? t("reproduce.noSeed") : t("reproduce.seed", { seed: turn.seed }) }),
    el("button", { type: "button", text: t("reproduce.again"), disabled: busy,
      onclick: () => chat.again(turn, turn.seed) }),
    copyable("curl", asCurl(path, fixed)), copyable("Python", asPython(fixed, strategy)),
    onlyLast ? el("p.muted.small-print", { text: t("reproduce.lastOnly") }) : null);
}

function userTurn(chat, turn, busy) {
  return el("article.turn.user", { "aria-label": t("chat.you"), "data-turn": turn.id },
    el("div.text.bubble", { text: turn.content }),
    el("div.actions", {}, branches(chat, turn, busy), action("copy", t("chat.copy"), () => chat.copy(turn.content)),
      action("edit", t("chat.edit"), () => chat.edit(turn), { disabled: busy })));
}

const dots = () => svg("svg.dots", { viewBox: "0 0 28 8", role: "img", "aria-label": t("chat.thinking") },
  ...[4, 14, 24].map((cx) => svg("circle", { cx, cy: 4, r: 3 })));

function assistantTurn(chat, turn, busy) {
  const writing = chat.writing === turn;
  const text = el("div.text", { text: turn.content });
  if (writing && !turn.content) text.append(dots());
  const details = turn.request && !writing && chat.opened === turn.id ? recipe(chat, turn, busy) : null;
  const place = { "aria-label": t("chat.model"), "data-turn": turn.id, "aria-busy": String(writing) };
  return el("article.turn.assistant", place,
    turn.dropped ? el("p.dropped", { text: t("chat.dropped", { count: turn.dropped }) }) : null,
    text,
    el("p.state", { text: turn.error ?? "", role: turn.error ? "alert" : null }),
    writing ? null : about(turn),
    writing ? null : el("div.actions", {}, branches(chat, turn, busy),
      action("copy", t("chat.copy"), () => chat.copy(turn.content)),
      action("again", t("chat.again"), () => chat.again(turn), { disabled: busy }),
      ...thumbs(chat, turn),
      turn.content && turn.model && action("look", t("chat.look"), () => chat.look(turn)),
      turn.request && action("seed", t("chat.reproduce"), () => chat.open(turn),
        { "aria-expanded": String(Boolean(details)) })),
    details);
}

/** The element of a turn. `chat` is what its buttons call; `busy` switches off those that would start an answer. */
export const drawTurn = (chat, turn, busy) => (turn.role === "user" ? userTurn : assistantTurn)(chat, turn, busy);

/** A turn's place taken by a box to change it in. */
export function drawEditor(turn, { send, cancel, keys }) {
  const box = el("textarea", { "aria-label": t("chat.edit"), rows: 3, value: turn.content });
  const form = el("form.editor", { onsubmit: (event) => { event.preventDefault(); send(box.value); } }, box,
    el("div.row", {}, el("button.primary", { type: "submit", text: t("chat.send") }),
      el("button", { type: "button", text: t("chat.cancel"), onclick: cancel })));
  keys(box, () => send(box.value), cancel);
  return { form, box };
}
