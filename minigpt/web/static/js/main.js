// The page starts here: language and look first, then the server, then the view that the address names.

import { call, takeToken } from "./api.js";
import { chatView } from "./chat.js";
import { compareView } from "./compare.js";
import { $, $$ } from "./dom.js";
import { knowLanguages, startLanguage } from "./i18n.js";
import { insideView } from "./inside.js";
import { knowLimits } from "./limits.js";
import { loadModels } from "./models.js";
import { addView, startRouter } from "./router.js";
import { knowSettings, startSettings } from "./settings.js";
import { server, startStatus } from "./status.js";
import { startTheme } from "./theme.js";
import { trainingView } from "./training.js";
import { voteView } from "./vote.js";

/** Under each panel: the place in our code that computed it. */
function showSources(sources) {
  for (const node of $$("[data-source]")) {
    const source = sources?.[node.dataset.source];
    node.textContent = source ? `${source.file}:${source.line}` : "";
  }
}

async function know() {
  const settings = await call("GET", "/api/settings");
  await loadModels();
  knowLanguages(settings.languages, $("#language"));
  knowLimits(settings);
  knowSettings(settings);
  showSources(settings.sources);
  return settings;
}

takeToken();
startTheme($("#theme"));
await startLanguage($("#language"));
startSettings();

let running = false;
server.addEventListener("ready", async () => {
  const settings = await know();
  if (running) return;   // it was only away for a while
  running = true;
  const examples = settings.examples ?? [];
  addView("chat", chatView(examples));
  addView("compare", compareView);
  addView("inside", insideView);
  addView("vote", voteView(examples));
  addView("training", trainingView);
  await startRouter();
  document.documentElement.dataset.page = "running";   // what the browser tests wait for
});
startStatus();
