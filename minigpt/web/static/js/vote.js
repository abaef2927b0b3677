// The blind vote: two answers without names, four buttons, and the names only when the vote is on disk.

import { announce } from "./announce.js";
import { call, patiently } from "./api.js";
import { enterKeys } from "./composer.js";
import { $, $$, el, show } from "./dom.js";
import { guarded } from "./errors.js";
import { language, number, t } from "./i18n.js";
import { startRetraining } from "./retrain.js";
import { isShown } from "./router.js";
import { startSearch } from "./search.js";
import { decoding } from "./settings.js";
import { drawStats, startStats } from "./stats.js";

const VOTES = ["left", "right", "tie", "both_bad"];
let examples = [];
let pair = null;       // the pair that is to be voted on; null between pairs
let revealed = null;   // what the server told after the last vote
let counts = null;

function drawCounts() {
  if (!counts) return;
  const { usable, since_training: since, needed: missing } = counts;
  $("#vote-count").textContent = t("vote.count", { count: usable });
  $("#vote-missing").textContent = missing ? t("vote.missing", { count: missing }) : t("vote.enough");
  Object.assign($("#vote-progress"), { max: since + missing || 1, value: since });
}

async function ask(question) {
  if (!question.trim()) return;
  $("#vote-prompt").value = question;
  pair = revealed = null;
  drawPair({ waiting: true });
  await guarded($("#vote-error"), async () => {
    const body = { messages: [{ role: "user", content: question.trim() }], mode: "qa", ...decoding() };
    const wait = (seconds) => { $("#vote-error").textContent = seconds ? t("chat.busy", { seconds }) : ""; };
    pair = await patiently(() => call("POST", "/api/pairs", body), wait);
    announce(t("vote.announce", { left: pair.left.text, right: pair.right.text }));
  });
  drawPair();
}

function drawPair({ waiting = false } = {}) {
  show($("#pair"), Boolean(pair || waiting));
  for (const side of ["left", "right"]) {
    const place = $(`#answer-${side}`);
    $(".text", place).textContent = pair ? pair[side].text || "∅" : "…";
    place.classList.toggle("won", revealed?.vote === side);
    const truth = revealed?.[side];
    const reward = revealed?.reward[side];
    $(".reveal", place).replaceChildren(...(truth ? [el("strong", { text: truth.model }),
      el("span.muted", { text: t("chat.seed", { seed: truth.seed }) }),
      Number.isFinite(reward) && el("span.muted", { text: t("vote.reward", { reward: number(reward) }) }),
    ].filter(Boolean) : []));
  }
  $("#pair-same").textContent = pair?.same && !revealed ? t("vote.same") : "";
  for (const button of $$("#vote-buttons button")) {
    button.disabled = !pair || Boolean(revealed);
    button.setAttribute("aria-pressed", String(revealed?.vote === button.dataset.vote));
  }
  show($("#vote-next"), Boolean(revealed));
}

async function vote(choice) {
  if (!pair || revealed || pair.sending) return;
  pair.sending = true;
  await guarded($("#vote-error"), async () => {
    const answer = await call("POST", "/api/votes", { pair_id: pair.pair_id, vote: choice });
    revealed = { ...answer, vote: choice };
    counts = answer.counts;
    announce(t("vote.revealed", { left: answer.left.model, right: answer.right.model }));
    drawCounts();
    drawStats();
  });
  pair.sending = false;
  drawPair();
  if (revealed) $("#vote-next").focus();
}

/** The next question: any of the examples, or the same one again. */
function another() {
  ask(examples[Math.floor(Math.random() * examples.length)] ?? $("#vote-prompt").value);
}

function keys(event) {
  const typing = event.target.closest("input, textarea, select, dialog");
  if (!isShown("vote") || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const choice = VOTES[Number(event.key) - 1];
  if (choice) vote(choice);
}

async function recount() {
  await guarded($("#vote-error"), async () => { counts = await call("GET", "/api/votes"); });
  drawCounts();
}

export const voteView = (questions) => ({
  start() {
    examples = questions;
    $("#vote-form").addEventListener("submit", (event) => { event.preventDefault(); ask($("#vote-prompt").value); });
    enterKeys($("#vote-prompt"), () => ask($("#vote-prompt").value));
    $("#vote-any").addEventListener("click", another);
    $("#vote-next").addEventListener("click", another);
    show($("#vote-any"), examples.length > 0);
    for (const button of $$("#vote-buttons button")) button.addEventListener("click", () => vote(button.dataset.vote));
    document.addEventListener("keydown", keys);
    startRetraining(recount);
    startSearch();
    startStats();
    language.addEventListener("change", () => { drawCounts(); drawPair(); });
    drawPair();
  },
  enter() {
    recount();
    drawStats();
  },
});
