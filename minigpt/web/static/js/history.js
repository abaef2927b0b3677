// The chats that this browser remembers, newest first. They leave it only by export.

import { Conversation } from "./conversation.js";
import { forget, keep, kept } from "./storage.js";

const MOST = 60;

export class History {
  constructor() {
    this.removed = new Set();  // an answer that is still being stopped must not bring its chat back
    this.read();
    addEventListener("storage", () => this.read());
  }

  /** Another tab may have written since. */
  read() {
    this.chats = kept("chats", []).filter((chat) => isChat(chat) && !this.removed.has(chat.id));
  }

  /** Put `conversation` on top. Where the browser's room ends, the oldest chats go. */
  save(conversation) {
    if (!conversation.turns.size || this.removed.has(conversation.id)) return;
    this.read();
    this.chats = [conversation.plain(), ...this.chats.filter((chat) => chat.id !== conversation.id)].slice(0, MOST);
    while (!keep("chats", this.chats) && this.chats.length > 1) this.chats.pop();
  }

  list() {
    return this.chats.map((chat) => ({ id: chat.id, title: new Conversation(chat).title, updated: chat.updated }));
  }

  open(id) {
    const chat = this.chats.find((one) => one.id === id);
    return chat ? new Conversation(structuredClone(chat)) : null;
  }

  remove(id) {
    this.removed.add(id);
    this.read();
    this.chats = this.chats.filter((chat) => chat.id !== id);
    keep("chats", this.chats);
  }

  clear() {
    this.read();
    for (const chat of this.chats) this.removed.add(chat.id);
    this.chats = [];
    for (const name of ["chats", "draft"]) forget(name);
  }
}

/** Is this what we write ourselves? Somebody else's file is not trusted to be. */
export function isChat(chat) {
  const seen = new Set([null]);  // a parent comes before its children, so no path runs in a circle
  const isTurn = (turn) => typeof turn?.id === "string" && typeof turn.content === "string" && seen.has(turn.parent)
    && ["user", "assistant"].includes(turn.role) && !seen.has(turn.id) && Boolean(seen.add(turn.id));
  return typeof chat?.id === "string" && /^[\w-]{1,64}$/.test(chat.id) && Array.isArray(chat.turns)
    && chat.turns.every(isTurn) && typeof chat.chosen === "object" && chat.chosen !== null;
}
