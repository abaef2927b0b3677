// One answer of one model: asks, streams, waits while the server is busy, and says what became of it.

import { call, isAbort, patiently, stream } from "./api.js";
import { beamSearch, decoding, isBeam, strategyName } from "./settings.js";

/** The request of the settings as they stand now. `more` may fix the seed, force first tokens, name the chat. */
export function requestFor(model, messages, mode, more = {}) {
  const strategy = more.answer_ids ? "sample" : strategyName();  // a beam cannot start in mid-answer
  if (isBeam() && strategy === "beam") {
    return { path: "/api/beam", strategy, body: { model, messages, mode, ...beamSearch() } };
  }
  const body = { model, messages, mode, stream: true, ...decoding(), ...more };
  if (body.seed === null) delete body.seed;
  return { path: "/v1/chat/completions", strategy, body };
}

async function search(body, { onText, signal }) {
  const beam = await call("POST", "/api/beam", body, { signal });
  onText(beam.text);
  const finish = beam.leaves[0]?.finished === false ? "length" : "stop";
  return { text: beam.text, ids: beam.ids, dropped: beam.dropped, finish };
}

async function write(body, { onText, onQueue, signal }) {
  const reply = { text: "", ids: null, finish: null };
  for await (const { data } of stream("POST", "/v1/chat/completions", body, { signal })) {
    const [choice] = data.choices;
    const { seed, dropped, queue, ids, note, answer_id: answerId, seconds } = data.minigpt ?? {};
    for (const [name, value] of Object.entries({ seed, dropped, ids, note, answerId, seconds })) {
      if (value !== undefined) reply[name] = value;
    }
    if (queue) onQueue(queue);
    if (choice?.delta?.content) {
      reply.text += choice.delta.content;
      onText(reply.text);
    }
    if (choice?.finish_reason) reply.finish = choice.finish_reason;
  }
  return reply;
}

/**
 * Do what `requestFor` made. `onText(text so far)`, `onQueue(place)`, `onBusy(seconds left)`. Stopped by `signal`, the
 * answer is what was shown until then. Raises ApiError; its `partial` is what had come.
 */
export async function fetchReply(request, { onText, onQueue = () => {}, onBusy = () => {}, signal }) {
  let shown = "";
  const show = (text) => {
    if (signal.aborted) return;  // what comes after the stop was never seen
    shown = text;
    onText(text);
  };
  const once = () => (request.path === "/api/beam" ? search : write)(request.body, { onText: show, onQueue, signal });
  try {
    return await patiently(once, onBusy, signal);
  } catch (error) {
    if (isAbort(error)) return { text: shown, ids: null, finish: "stop", note: "stopped" };
    throw Object.assign(error, { partial: shown });
  }
}
