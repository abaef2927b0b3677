// Talking to the server: JSON in, JSON or events out, and one kind of error for everything that can go wrong.

import { readEvents } from "./sse.js";

const TOKEN = "minigpt.token";
export const connection = new EventTarget();  // says "gone" when nobody answers, "back" when somebody does

export class ApiError extends Error {
  constructor(status, error = {}, retryAfter = 0) {
    super(error.message ?? `HTTP ${status}`);
    Object.assign(this, { status, code: error.code ?? "unknown", param: error.param ?? null, retryAfter });
  }

  /** Nobody answered, or the answer broke off. */
  get gone() { return this.status === 0; }

  /** Worth asking again, in `retryAfter` seconds. */
  get busy() { return this.status === 429 || (this.status === 503 && this.retryAfter > 0); }
}

export const isAbort = (error) => error.name === "AbortError";

/** A server that others can reach prints an address that ends in #token=...: keep the token, hide it from the eye. */
export function takeToken() {
  const match = /[#&]token=([^&]+)/.exec(location.hash);
  if (!match) return;
  sessionStorage.setItem(TOKEN, decodeURIComponent(match[1]));
  history.replaceState(null, "", location.pathname);
}

export const setToken = (token) => sessionStorage.setItem(TOKEN, token);

async function request(method, path, body, signal) {
  const headers = {};
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body), cache: "no-store" });
  } catch (error) {
    throw isAbort(error) ? error : lost();
  }
  connection.dispatchEvent(new Event("back"));
  return response;
}

function lost() {
  connection.dispatchEvent(new Event("gone"));
  return new ApiError(0, { code: "gone", message: "" });
}

async function refuse(response) {
  const answer = await response.json().catch(() => ({}));
  const error = new ApiError(response.status, answer.error, Number(response.headers.get("Retry-After")) || 0);
  if (response.status === 401) connection.dispatchEvent(new Event("token"));
  return Object.assign(error, { answer });
}

/** JSON from the server; `await call("POST", "/api/votes", {pair_id: 1, vote: "left"})`. Raises ApiError. */
export async function call(method, path, body, { signal } = {}) {
  const response = await request(method, path, body, signal);
  if (!response.ok) throw await refuse(response);
  return response.json();
}

/** The text of a download. Raises ApiError. */
export async function text(path) {
  const response = await request("GET", path);
  if (!response.ok) throw await refuse(response);
  return response.text();
}

/**
 * The events of a streamed answer as {event, data}, data parsed. Raises ApiError for a refusal, for an error event in
 * mid-stream, and (status 0) if the stream ends without saying that it is complete.
 */
export async function* stream(method, path, body, { signal } = {}) {
  const response = await request(method, path, body, signal);
  if (!response.ok) throw await refuse(response);
  try {
    for await (const { event, data } of readEvents(response)) {
      if (data === "[DONE]") return;
      const value = JSON.parse(data);
      if (event === "error") throw new ApiError(500, value.error);
      yield { event, data: value };
      if (event === "done") return;
    }
  } catch (error) {
    if (error instanceof ApiError || isAbort(error)) throw error;
    if (error instanceof SyntaxError) throw new ApiError(500, { code: "bad_stream", message: error.message });
    throw lost();  // the network broke
  }
  if (!signal?.aborted) throw lost();
}

/** Wait, calling `tick(secondsLeft)` each second; an abort ends it with an AbortError. */
export async function wait(seconds, tick = () => {}, signal = undefined) {
  for (let left = Math.ceil(seconds); left > 0; left--) {
    tick(left);
    await new Promise((done, fail) => {
      const stop = () => { clearTimeout(timer); fail(new DOMException("", "AbortError")); };
      const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); done(); }, 1000);
      if (signal?.aborted) stop();
      signal?.addEventListener("abort", stop, { once: true });
    });
  }
}

/** Do `work`; while the server is busy, count down what it asked for and try again. `tick(0)` means: trying. */
export async function patiently(work, tick, signal) {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!error.busy) throw error;
      await wait(Math.min(error.retryAfter || 1, 60), tick, signal);
      tick(0);
    }
  }
}
