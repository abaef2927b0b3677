// The chat view: holds the conversation that is on the screen and starts, stops and branches answers.

import { announce } from "./announce.js";
import { call } from "./api.js";
import { Composer, enterKeys } from "./composer.js";
import { Conversation } from "./conversation.js";
import { $, $$, el, escapeKey, save, show } from "./dom.js";
import { sentence } from "./errors.js";
import { History } from "./history.js";
import { language, t } from "./i18n.js";
import { inspect } from "./inside.js";
import { limits } from "./limits.js";
import { describe, model, offerModels, modelEvents } from "./models.js";
import { fetchReply, requestFor } from "./reply.js";
import { isShown } from "./router.js";
import { keep, kept } from "./storage.js";
import { sidebar } from "./sidebar.js";
import { asJson, asMarkdown, fromJson } from "./transfer.js";
import { drawEditor, drawTurn } from "./turn.js";

class Chat {
  constructor(examples) {
    this.examples = examples.slice(0, 3);
    this.history = new History();
    this.conversation = this.history.open(kept("open")) ?? new Conversation();
    this.writing = null;   // the turn that is being answered
    this.opened = null;    // the turn whose recipe is open
    this.abort = null;
    const [send, stop, editLast] = [(text) => this.send(text), () => this.stop(), () => this.editLast()];
    this.composer = new Composer({ send, stop, editLast });
    this.sidebar = sidebar(this);
    this.listen();
    this.pickers();
    this.draw();
  }

  listen() {
    document.addEventListener("keydown", (event) => {
      if (!isShown("chat")) return;
      if (escapeKey(event) && this.writing) this.stop();
      if ((event.ctrlKey || event.metaKey) && event.shiftKey && event.key.toLowerCase() === "o") {
        event.preventDefault();
        this.renew();
      }
    });
    $("#model").addEventListener("change", (event) => {
      this.conversation.model = event.target.value;
      keep("model", event.target.value);
      this.modelCard();
    });
    $("#mode").addEventListener("change", (event) => {
      this.conversation.mode = event.target.value;
      keep("mode", event.target.value);
      this.modelCard();
    });
    language.addEventListener("change", () => { this.pickers(); this.draw(); });
    modelEvents.addEventListener("change", () => this.pickers());
  }

  pickers() {
    offerModels($("#model"), { chosen: this.conversation.model || kept("model") });
    $("#mode").value = this.conversation.mode ?? kept("mode", "dialogue");
    this.modelCard();
  }

  modelCard() {
    const id = $("#model").value;
    const only = model(id)?.answers === false ? t("model.onlyContinues") : "";
    $("#model-card").textContent = [describe(id), only].filter(Boolean).join(" · ");
    $("#mode-meaning").textContent = t(`mode.${$("#mode").value}.meaning`);
  }

  // Answers.

  async send(text, parent = this.conversation.path().at(-1)?.id ?? null) {
    if (this.writing) return;
    const asked = this.conversation.add(parent, "user", text.trim().slice(0, limits.characters));
    await this.answer(asked);
  }

  /** Another answer to the same question: with a new seed, or with the old one. */
  again(turn, seed = null) {
    const asked = this.conversation.turns.get(turn.parent);
    if (asked && !this.writing) this.answer(asked, { seed }, turn.request);
  }

  async answer(asked, more = {}, before = null) {
    const { conversation } = this;
    this.keep();   // the question outlives a page that is closed before the answer is there
    const messages = conversation.messages(asked);
    const chosen = $("#model").value;
    conversation.model = chosen;
    conversation.mode = $("#mode").value;
    const request = Number.isInteger(more.seed) && before
      ? { ...before, body: { ...before.body, seed: more.seed } }
      : requestFor(chosen, messages, conversation.mode, { chat_id: conversation.id, ...more });
    const turn = conversation.add(asked.id, "assistant", "", { model: request.body.model, request });
    this.writing = turn;
    this.abort = new AbortController();
    this.composer.setBusy(true);
    this.draw();
    this.follow(true);
    try {
      Object.assign(turn, rename(await fetchReply(request, this.watcher(turn))));
      announce(t("chat.announce", { text: turn.content }));
    } catch (error) {
      if (error.status === undefined) throw error;
      this.failed(conversation, turn, asked, error);
    } finally {
      this.writing = null;
      this.composer.setBusy(false);
      this.history.save(conversation);
      this.draw();
    }
  }

  /** Shows what arrives in the turn that is being written, without drawing the others again. */
  watcher(turn) {
    const on = (name) => $(`[data-turn="${turn.id}"] ${name}`);
    const state = (text) => { if (on(".state")) on(".state").textContent = text; };
    return {
      signal: this.abort.signal,
      onText: (text) => {
        turn.content = text;
        state("");
        if (on(".text")) on(".text").textContent = text;
        this.follow();
      },
      onQueue: (place) => state(t("chat.queue", { place })),
      onBusy: (seconds) => state(seconds ? t("chat.busy", { seconds }) : t("chat.trying")),
    };
  }

  failed(conversation, turn, asked, error) {
    if (error.gone && !error.partial) {
      // Nothing was answered: take the question back into the box, to be sent when the server is there again.
      conversation.remove(turn);
      if (!conversation.children(asked.id).length && !this.composer.box.value) {
        this.composer.write(asked.content);
        conversation.remove(asked);
      }
      return;
    }
    turn.content = error.partial ?? "";
    turn.error = sentence(error);
  }

  stop() {
    this.abort?.abort();
  }

  // Turns.

  turnTo(turn, step) {
    this.conversation.turnTo(turn, step);
    this.keep();
    this.draw();
  }

  edit(turn) {
    if (this.writing) return;
    const place = $(`[data-turn="${turn.id}"]`);
    const { form, box } = drawEditor(turn, {
      send: (text) => (text.trim() ? this.send(text, turn.parent) : this.draw()),
      cancel: () => { this.draw(); this.composer.focus(); },
      keys: enterKeys,
    });
    place.replaceChildren(form);
    box.focus();
  }

  editLast() {
    const last = this.conversation.path().findLast((turn) => turn.role === "user");
    if (last) this.edit(last);
  }

  async copy(text) {
    await navigator.clipboard.writeText(text).catch(() => {});
    announce(t("chat.copied"));
    this.toast(t("chat.copied"));
  }

  async rate(turn, thumb) {
    try {
      await call("POST", "/api/thumbs", { answer_id: turn.answerId, thumb });
      turn.thumb = thumb;
      announce(t("chat.thumb.saved"));
    } catch (error) {
      this.toast(sentence(error));
    }
    this.keep();
    this.draw();
    $(`[data-turn="${turn.id}"] [data-action="${thumb === "down" ? "down" : "up"}"]`)?.focus();
  }

  look(turn) {
    const asked = this.conversation.turns.get(turn.parent);
    const mode = turn.request?.body.mode ?? "dialogue";
    const messages = this.conversation.messages(asked);
    inspect({ model: turn.model, messages, mode, ids: turn.ids, text: turn.content });
  }

  open(turn) {
    this.opened = this.opened === turn.id ? null : turn.id;
    this.draw();
    $(`[data-turn="${turn.id}"] [data-action="seed"]`)?.focus();
  }

  // Conversations.

  keep() {
    this.history.save(this.conversation);
    keep("open", this.conversation.id);
  }

  show(conversation) {
    this.stop();
    this.conversation = conversation;
    this.opened = null;
    keep("open", conversation.id);
    this.pickers();
    this.draw();
    this.composer.focus();
  }

  renew() {
    this.show(new Conversation({ model: $("#model").value, mode: $("#mode").value }));
  }

  async forgetAll() {
    this.stop();
    this.history.clear();
    this.composer.write("");
    this.renew();
    try {
      await call("DELETE", "/api/chats");
      this.toast(t("history.forgotten"));
    } catch (error) {
      this.toast(sentence(error));
    }
  }

  export(kind) {
    const name = `chat-${new Date().toISOString().slice(0, 10)}`;
    const names = { user: t("chat.you"), assistant: t("chat.model") };
    if (kind === "json") save(`${name}.json`, asJson(this.conversation), "application/json");
    else save(`${name}.md`, asMarkdown(this.conversation, names), "text/markdown");
  }

  async import(file) {
    const conversation = fromJson(await file.text());
    if (!conversation) {
      this.toast(t("history.badFile"));
      return;
    }
    this.history.save(conversation);
    this.show(conversation);
  }

  // The screen.

  draw() {
    const path = this.conversation.path();
    const busy = this.writing !== null;
    $("#turns").replaceChildren(...path.map((turn) => drawTurn(this, turn, busy)));
    show($("#welcome"), path.length === 0);
    $("#examples").replaceChildren(...this.examples.map((text) => el("li", {},
      el("button.example", { type: "button", text, onclick: () => this.send(text) }))));
    for (const button of $$("#export-json, #export-markdown")) button.disabled = path.length === 0;
    this.sidebar.draw();
  }

  /** Stay at the end of a growing answer, unless the reader has scrolled up. */
  follow(always = false) {
    const end = document.documentElement;
    if (always || end.scrollHeight - innerHeight - scrollY < 120) scrollTo(0, end.scrollHeight);
  }

  toast(text) {
    const place = $("#toast");
    place.textContent = text;
    show(place);
    clearTimeout(this.toasting);
    this.toasting = setTimeout(() => show(place, false), 5000);
  }
}

const rename = ({ text, ...rest }) => ({ content: text, ...rest });

export const chatView = (examples) => ({
  start() { new Chat(examples); },
  enter() { $("#prompt").focus({ preventScroll: true }); },
});
