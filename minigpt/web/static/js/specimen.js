// The answer that lies under the glass. The chat and the compare view put one here; every instrument reads it.

export const specimen = new EventTarget();  // says "change"
let trail = [];

export const current = () => trail.at(-1) ?? null;
export const hasBefore = () => trail.length > 1;

/** Look at {model, messages, mode, ids or text}. The one before can be come back to. */
export function lay(next) {
  trail = [...trail, next].slice(-50);
  specimen.dispatchEvent(new Event("change"));
}

export function back() {
  trail.pop();
  specimen.dispatchEvent(new Event("change"));
}

/** What every request about it says. */
export function subject({ model, messages, mode, ids, text }) {
  return { model, messages, mode, ...(ids ? { answer_ids: ids } : { answer: text }) };
}
