// The reward of an answer, token by token: what it would be if it ended here, and what the policy expected.

import { dataTable, lineChart } from "./chart.js";
import { el } from "./dom.js";
import { number, t } from "./i18n.js";
import { visible } from "./tokens.js";

export function xray({ tokens, reward, reward_model: model, reward_reason: reason, value_reason: valueReason }) {
  if (reward === null) return el("p.muted", { text: reason ?? t("xray.none") });
  const line = (name) => tokens.map((token, i) => [i + 1, token[name]]).filter(([, y]) => Number.isFinite(y));
  const series = [{ name: t("xray.reward"), points: line("reward") }, { name: t("xray.value"), points: line("value") }];
  const label = t("xray.label", { reward: number(reward) });
  const steepest = tokens.slice(1).map((token, i) => ({ token, change: token.reward - tokens[i].reward }))
    .reduce((most, one) => (Math.abs(one.change) > Math.abs(most.change) ? one : most), { change: 0 });
  const lesson = steepest.token ? t("xray.steepest", { text: visible(steepest.token).replaceAll("·", ""),
    change: `${steepest.change > 0 ? "+" : ""}${number(steepest.change)}` }) : "";
  return el("div", {},
    el("p.sentence", { text: `${t("xray.score", { reward: number(reward), model })} ${lesson}` }),
    lineChart({ series, label, x: t("xray.axis"), height: 200, dots: true }),
    valueReason ? el("p.muted", { text: valueReason }) : null,
    dataTable("reward", [t("inside.piece"), t("xray.reward"), t("xray.value")],
      tokens.map((token) => [visible(token), token.reward, token.value])));
}
