// Search over all stored chats and votes, and the files to take them away.

import { call, text } from "./api.js";
import { $, $$, el, save } from "./dom.js";
import { guarded } from "./errors.js";
import { t, when } from "./i18n.js";

/** The snippet with its match set off. The server counts characters, JavaScript halves of some: hence Array.from. */
function snippet({ snippet: whole, start, end }) {
  const letters = Array.from(whole);
  const part = (from, to) => letters.slice(from, to).join("");
  return el("p.snippet", {}, part(0, start), end > start ? el("mark", { text: part(start, end) }) : "", part(end));
}

const result = (one) => el("li", {}, snippet(one),
  el("p.muted", { text: [t(`search.${one.kind}`), one.model, when(one.created)].filter(Boolean).join(" · ") }));

async function search() {
  const query = $("#search").value.trim();
  if (!query) return;
  await guarded($("#search-state"), async () => {
    const { results } = await call("GET", `/api/search?q=${encodeURIComponent(query)}&limit=30`);
    $("#search-results").replaceChildren(...results.map(result));
    $("#search-state").textContent = t("search.found", { count: results.length });
  });
}

async function download(format) {
  await guarded($("#export-state"), async () => {
    const lines = await text(`/api/votes.jsonl?format=${encodeURIComponent(format)}`);
    save(`votes-${format}.jsonl`, lines, "application/x-ndjson");
  });
}

export function startSearch() {
  $("#search-form").addEventListener("submit", (event) => { event.preventDefault(); search(); });
  for (const button of $$("#exports button")) button.addEventListener("click", () => download(button.dataset.format));
}
