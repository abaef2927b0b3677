// What this browser remembers: small choices, the draft, and the chats. Nothing here is needed; it may all be refused.

const PREFIX = "minigpt.";

/** The value kept under `name`, or `otherwise`. */
export function kept(name, otherwise = null) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? otherwise;
  } catch {
    return otherwise;  // private mode, or somebody else's text under our name
  }
}

/** Keep it; false if the browser is full or does not let us. */
export function keep(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export function forget(name) {
  try {
    localStorage.removeItem(PREFIX + name);
  } catch { /* nothing was kept, then */ }
}
