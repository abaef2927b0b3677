// What to say when something went wrong: our own words where the code is known, else the server's sentence.

import { has, t } from "./i18n.js";

export function sentence(error) {
  if (error.gone) return t("error.gone");
  const key = `error.${error.code}`;
  if (has(key)) return t(key);
  return error.message || t("error.unknown");
}

/** Run `work`; what it raises becomes a sentence in `place`, which is emptied before. */
export async function guarded(place, work) {
  place.textContent = "";
  try {
    return await work();
  } catch (error) {
    if (error.status === undefined) throw error;  // our own mistake belongs on the console
    place.textContent = sentence(error);
    return undefined;
  }
}
