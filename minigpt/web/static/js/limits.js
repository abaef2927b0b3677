// What /api/settings says about the server's limits: known before any view starts, and nowhere written a second time.

export const limits = {};
export const sampling = {};   // what minigpt's Sampling takes if it is not told

export function knowLimits(settings) {
  Object.assign(limits, settings.limits);
  Object.assign(sampling, settings.sampling);
  for (const box of document.querySelectorAll("[data-maxlength]")) box.maxLength = limits[box.dataset.maxlength];
  for (const box of document.querySelectorAll("[data-max]")) box.max = limits[box.dataset.max];
}
