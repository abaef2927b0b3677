// Everything that is needed to get the same answer again: as a request, and as a line of Python.

import { sampling } from "./limits.js";

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const python = (value) => (typeof value === "string" ? JSON.stringify(value)
  : Array.isArray(value) ? `[${value.map(python).join(", ")}]` : String(value));

/** A curl command for the same request. */
export function asCurl(path, body) {
  const data = `-d ${shell(JSON.stringify(body))}`;
  return [`curl ${location.origin}${path}`, "-H 'Content-Type: application/json'", data].join(" \\\n  ");
}

/** The call of minigpt that decodes the same way, for what was asked last. */
export function asPython(body, strategy) {
  const question = body.messages.at(-1).content;
  const options = { strategy: strategy === "beam" ? "beam_search" : strategy, max_len: body.max_tokens };
  const names = strategy === "beam" ? ["beam_width", "length_penalty"] : strategy === "sample"
    ? ["temperature", "top_k", "top_p", "min_p", "seed"] : [];
  for (const name of [...names, "repetition_penalty", "no_repeat_ngram"]) {
    if (body[name] !== undefined && body[name] !== sampling[name]) options[name] = body[name];
  }
  const listed = Object.entries(options).map(([name, value]) => `${name}=${python(value)}`).join(", ");
  return `from minigpt.model.checkpoint import load_model\n\nmodel = load_model("trained_models/${body.model}")\n`
    + `print(model.decode(${python(question)}, ${listed}))`;
}
