// A conversation is a tree: editing a question or asking for another answer grows a branch beside the old one.
// Each turn remembers which of its children is shown, so the chat on the screen is the path of the chosen ones.

import { limits } from "./limits.js";

let counter = 0;
const letters = (value) => value.toString(36);
export const freshId = () => `${letters(Date.now())}-${letters(counter++)}${letters(Math.random()).slice(2, 8)}`;

export class Conversation {
  constructor({ id = freshId(), model = "", mode = "dialogue", updated = Date.now(), turns = [], chosen = {} } = {}) {
    Object.assign(this, { id, model, mode, updated, chosen });
    this.turns = new Map(turns.map((turn) => [turn.id, turn]));
  }

  /** Append a turn below `parent` (null: a first turn), and show it. */
  add(parent, role, content, more = {}) {
    const turn = { id: freshId(), parent, role, content, ...more };
    this.turns.set(turn.id, turn);
    this.chosen[parent ?? ""] = turn.id;
    this.updated = Date.now();
    return turn;
  }

  children(parent) {
    return [...this.turns.values()].filter((turn) => turn.parent === parent);
  }

  siblings(turn) {
    return this.children(turn.parent);
  }

  /** Show the sibling `step` places to the right of `turn`. */
  turnTo(turn, step) {
    const all = this.siblings(turn);
    const to = all[all.indexOf(turn) + step];
    if (to) this.chosen[turn.parent ?? ""] = to.id;
  }

  /** Take out a turn without children, and show a sibling instead. */
  remove(turn) {
    this.turns.delete(turn.id);
    const rest = this.siblings(turn);
    if (rest.length) this.chosen[turn.parent ?? ""] = rest.at(-1).id;
    else delete this.chosen[turn.parent ?? ""];
  }

  /** The turns on the screen, first to last. */
  path() {
    const path = [];
    let turn = null;
    do {
      const next = this.turns.get(this.chosen[turn?.id ?? ""]);
      turn = next && next.parent === (turn?.id ?? null) ? next : null;
      if (turn) path.push(turn);
    } while (turn);
    return path;
  }

  /** What the server is sent to answer `turn`: it and the turns before it, the newest that fit one request. */
  messages(turn) {
    const all = [];
    for (let one = turn; one; one = this.turns.get(one.parent)) {
      if (one.content.trim()) all.unshift({ role: one.role, content: one.content.slice(0, limits.characters) });
    }
    const most = limits.messages - 1;        // one less, for the answer that is being written
    const room = 0.75 * limits.body;         // the settings have to fit in as well
    let bytes = 0;
    const size = (message) => new TextEncoder().encode(JSON.stringify(message)).length;
    const first = all.findLastIndex((message, i) => all.length - i > most || (bytes += size(message)) > room);
    return all.slice(Math.min(first + 1, all.length - 1));
  }

  get title() {
    return this.path().find((turn) => turn.role === "user")?.content.trim().slice(0, 80) ?? "";
  }

  plain() {
    const { id, model, mode, updated, chosen } = this;
    return { id, model, mode, updated, chosen, turns: [...this.turns.values()] };
  }
}
