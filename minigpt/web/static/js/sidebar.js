// The list of chats beside the conversation, and what can be done with all of them.

import { $, el, show } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./i18n.js";

export function sidebar(chat) {
  const button = $("#chats-button");
  const open = (visible) => {
    $("#chats").classList.toggle("open", visible);
    button.setAttribute("aria-expanded", String(visible));
  };
  button.addEventListener("click", () => open(!$("#chats").classList.contains("open")));
  $("#new-chat").addEventListener("click", () => { open(false); chat.renew(); });
  $("#export-json").addEventListener("click", () => chat.export("json"));
  $("#export-markdown").addEventListener("click", () => chat.export("markdown"));
  $("#import").addEventListener("click", () => $("#import-file").click());
  $("#import-file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) chat.import(file);
    event.target.value = "";
  });
  const dialog = $("#forget-dialog");
  $("#forget").addEventListener("click", () => dialog.showModal());
  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "yes") chat.forgetAll();
    dialog.returnValue = "";   // Escape must not repeat the answer of last time
  });

  const entry = ({ id, title }) => {
    const current = chat.conversation.id === id;
    const name = title || t("history.untitled");
    const remove = t("history.remove", { title: name });
    return el("li", {},
      el("button.chat-name", { type: "button", text: name, "aria-current": current ? "true" : null,
        onclick: () => { open(false); chat.show(chat.history.open(id)); } }),
      el("button.icon-button", { type: "button", "aria-label": remove, title: remove,
        onclick: () => {
          chat.history.remove(id);
          if (current) chat.renew();
          else chat.draw();
          button.focus();
        } }, icon("cross")));
  };
  return {
    draw() {
      const all = chat.history.list();
      $("#chat-list").replaceChildren(...all.map(entry));
      show($("#no-chats"), all.length === 0);
    },
  };
}
