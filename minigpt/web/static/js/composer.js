// The box one writes in. Enter sends; Shift+Enter does not, nor does the Enter that ends an input method's word.

import { $, show } from "./dom.js";
import { forget, keep, kept } from "./storage.js";

/** Enter and Escape in a box. Chrome says isComposing, Safari only the old key code 229. */
export function enterKeys(box, send, escape = () => {}) {
  box.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      escape();
    }
  });
}

export class Composer {
  constructor({ send, stop, editLast }) {
    this.box = $("#prompt");
    this.send = send;
    this.box.value ||= kept("draft", "");
    enterKeys(this.box, () => this.submit(), stop);
    this.box.addEventListener("input", () => this.changed());
    this.box.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowUp" || event.isComposing || this.box.value) return;
      event.preventDefault();
      editLast();
    });
    $("#composer").addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    $("#stop").addEventListener("click", stop);
    this.changed();
  }

  /** The draft is kept at every letter: neither a reload nor a lost server loses it. */
  changed() {
    if (this.box.value) keep("draft", this.box.value);
    else forget("draft");
  }

  submit() {
    const text = this.box.value;
    if (!text.trim() || this.busy) return;
    this.write("");
    this.send(text);
  }

  write(text) {
    this.box.value = text;
    this.changed();
  }

  /** While an answer is being written, the button that sends is the one that stops. */
  setBusy(busy) {
    this.busy = busy;
    const hadFocus = document.activeElement === $("#stop") || document.activeElement === $("#send");
    show($("#stop"), busy);
    show($("#send"), !busy);
    if (hadFocus) this.box.focus();
  }

  focus() {
    this.box.focus();
  }
}
