// Everything that is needed to get the same answer again: as a request, and as a few lines of Python.

import { sampling } from "./limits.js";

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const python = (value) => (typeof value === "string" ? JSON.stringify(value)
  : Array.isArray(value) ? `[${value.map(python).join(", ")}]` : String(value));

/** A curl command for the same request. */
export function asCurl(path, body) {
  const data = `-d ${shell(JSON.stringify(body))}`;
  return [`curl ${location.origin}${path}`, "-H 'Content-Type: application/json'", data].join(" \\\n  ");
}

const DRAWN_BY = {
  beam: ["beam_width", "length_penalty"],
  greedy: ["temperature"],
  sample: ["temperature", "top_k", "top_p", "min_p", "seed"],
};

/** A program that decodes the same way, for what was asked last. */
export function asPython(body, strategy) {
  const options = [...DRAWN_BY[strategy], "repetition_penalty", "no_repeat_ngram"]
    .filter((name) => body[name] !== undefined && body[name] !== sampling[name])
    .map((name) => `${name}=${python(body[name])}`).join(", ");
  const beam = strategy === "beam";
  return [
    `from minigpt.data.examples import ${beam ? "" : "Prompt, "}Turn`,
    "from minigpt.model.checkpoint import load_model",
    ...(beam ? ["from minigpt.model.beam import beam_search"]
      : ["from minigpt.model.responses import respond", "from minigpt.model.sampling import Sampling"]),
    "",
    `chat = load_model("trained_models/${body.model}")`,
    `turns = (Turn("user", ${python(body.messages.at(-1).content)}),)`,
    `length = min(${body.max_tokens}, chat.context // 2)`,
    ...(beam ? [
      "prompt = chat.need_fit(turns, length).ids",
      `best = beam_search(chat.gpt, prompt, length, stop=chat.stop, ${options})[0]`,
      "print(chat.tokenizer.decode(best.ids))",
    ] : [`print(respond(chat, [Prompt(turns)], length, Sampling(${options}))[0].text)`]),
  ].join("\n");
}
