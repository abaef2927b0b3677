"""The tables that requests are checked against, and from which /openapi.json is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..model_cache import NAME
from ..schema import Field
from ..settings import Settings

MESSAGES, CHARACTERS, PROMPT = 64, 4000, 16000
COMPARED, BEAM_WIDTH, BEAM_TOKENS, TOP, SCORED, INPUTS = 4, 8, 40, 20, 8, 8

MODEL_NAME = Field("string", "RECIPE/FOLDER, as /v1/models lists them.", pattern=f"{NAME}/{NAME}")
MODEL = {"model": MODEL_NAME}

MESSAGE = Field(
    "object",
    fields={
        "role": Field("string", required=True, choices=("system", "user", "assistant")),
        "content": Field("string", required=True, maximum=CHARACTERS),
    },
)
CONVERSATION = {
    "messages": Field("array", "The conversation, a user's message last.", True, minimum=1, maximum=MESSAGES,
                      items=MESSAGE),
    "mode": Field("string", "dialogue: as many of the last turns as fit; qa: the last message alone.",
                  default="dialogue", choices=("dialogue", "qa")),
}  # fmt: skip

#: The decoding settings, each with the sentence that explains it.
PENALTIES = {
    "repetition_penalty": Field("number", "Above 1, tokens already used become less likely.", default=1.0, minimum=1,
                                maximum=2),
    "no_repeat_ngram": Field("integer", "Never write the same so many tokens in a row twice; 0 allows it.", default=0,
                             minimum=0, maximum=10),
}  # fmt: skip
DECODING = {
    "temperature": Field("number", "Below 1 safer, above 1 wilder, 0 always the likeliest token.", default=0.7,
                         minimum=0, maximum=2),
    "top_p": Field("number", "Draw from the fewest tokens that reach this probability together.", default=0.9, above=0,
                   maximum=1),
    "top_k": Field("integer", "Draw from this many of the likeliest tokens; 0 is all.", default=0, minimum=0,
                   maximum=200),
    "min_p": Field("number", "Leave out tokens less likely than this share of the likeliest.", default=0.0, minimum=0,
                   below=1),
    **PENALTIES,
    "max_tokens": Field("integer", "Longest answer, in tokens; the context may be shorter.", default=80, minimum=1,
                        maximum=4096),
    "seed": Field("integer", "The same seed gives the same answer; left out, one is drawn.", minimum=0,
                  maximum=2**31 - 1),
    "stop": Field("string", "The answer ends before the first of these.",
                  either=(Field("string", minimum=1, maximum=64),
                          Field("array", maximum=4, items=Field("string", minimum=1, maximum=64)))),
}  # fmt: skip

TOKEN_IDS = Field("array", "Token ids.", maximum=4096, items=Field("integer", minimum=0, maximum=2**31 - 1))
ANSWER = {
    "answer_ids": TOKEN_IDS,
    "answer": Field("string", "The answer as text, instead of its ids.", maximum=CHARACTERS),
}

STREAMING = {
    "stream": Field("boolean", "Send the answer as server-sent events while it is written.", default=False),
    "stream_options": Field(
        "object", "With include_usage, the token counts come in a chunk of their own.",
        fields={"include_usage": Field("boolean", default=False)},
    ),
    "n": Field("integer", "One answer a request.", default=1, minimum=1, maximum=1),
}  # fmt: skip

CHAT_ID = Field("string", "Keep the answer under this chat.", pattern="[A-Za-z0-9_-]{1,64}")

CHAT: Mapping[str, Field] = {
    **MODEL, **CONVERSATION, **DECODING, **STREAMING,
    "max_completion_tokens": Field("integer", "Another name of max_tokens.", minimum=1, maximum=4096),
    "logprobs": Field("boolean", "Add each token's log-probability.", default=False),
    "top_logprobs": Field("integer", "Add the likeliest tokens at each place.", default=0, minimum=0, maximum=TOP),
    "answer_ids": Field("array", "Token ids that the answer begins with.", maximum=4096, items=TOKEN_IDS.items),
    "chat_id": CHAT_ID,
}  # fmt: skip

COMPLETION: Mapping[str, Field] = {
    **MODEL, **DECODING, **STREAMING,
    "prompt": Field("string", "A text to go on with.", True, maximum=PROMPT),
    "echo": Field("boolean", "Begin the answer with the prompt.", default=False),
    "logprobs": Field("integer", "Add log-probabilities, and so many alternatives.", minimum=0, maximum=TOP),
}  # fmt: skip

STOP = {"id": Field("string", "The id of a running answer.", True, minimum=1, maximum=64)}

COMPARE: Mapping[str, Field] = {
    "models": Field("array", "The models to compare.", True, minimum=1, maximum=COMPARED, items=MODEL_NAME),
    **CONVERSATION, **DECODING, "stream": STREAMING["stream"],
}  # fmt: skip

TOKENS: Mapping[str, Field] = {
    **MODEL, **CONVERSATION, **ANSWER,
    "top": Field("integer", "Alternatives to show.", default=10, minimum=1, maximum=TOP),
}  # fmt: skip

ATTENTION: Mapping[str, Field] = {
    **MODEL, **CONVERSATION, **ANSWER,
    "layer": Field("integer", "From 0, the one that reads the embeddings.", default=0, minimum=0, maximum=1000),
    "head": Field("integer", "From 0.", default=0, minimum=0, maximum=1000),
    "last": Field("integer", "Show so many tokens at the end; 0 is all.", default=64, minimum=0, maximum=256),
}  # fmt: skip

BEAM: Mapping[str, Field] = {
    **MODEL, **CONVERSATION, **PENALTIES,
    "beam_width": Field("integer", "Candidates that are kept.", default=3, minimum=1, maximum=BEAM_WIDTH),
    "max_tokens": Field("integer", "Longest answer.", default=20, minimum=1, maximum=BEAM_TOKENS),
    "length_penalty": Field("number", "0 prefers short answers; 1 compares the mean.", default=1.0, minimum=0,
                            maximum=2),
}  # fmt: skip

TOKENIZE: Mapping[str, Field] = {
    **MODEL,
    "messages": Field("array", "A conversation, as the model would read it.", minimum=1, maximum=MESSAGES,
                      items=MESSAGE),
    "text": Field("string", "A text, instead of messages.", maximum=PROMPT),
    "mode": CONVERSATION["mode"],
}  # fmt: skip

SCORE: Mapping[str, Field] = {
    **CONVERSATION,
    "answers": Field("array", "The answers to score.", True, minimum=1, maximum=SCORED,
                     items=Field("string", maximum=CHARACTERS)),
    "reward_model": MODEL_NAME,
}  # fmt: skip

PAIR: Mapping[str, Field] = {**MODEL, "other": MODEL_NAME, **CONVERSATION, **DECODING}

NUMBER = Field("integer", required=True, minimum=1, maximum=2**53)
VOTE: Mapping[str, Field] = {
    "pair_id": NUMBER,
    "vote": Field("string", "Which answer is better.", True, choices=("left", "right", "tie", "both_bad")),
}
THUMB: Mapping[str, Field] = {
    "answer_id": NUMBER,
    "thumb": Field("string", "none takes it back.", True, choices=("up", "down", "none")),
}

#: Pipelines take one input or a list of them, and give one result or a list of them.
TEXT = Field("string", required=True, minimum=1, maximum=CHARACTERS)
TEXTS = Field("string", "A text, or a list of texts.", True, either=(
    TEXT, Field("array", minimum=1, maximum=INPUTS, items=TEXT),
))  # fmt: skip

GENERATE: Mapping[str, Field] = {
    **MODEL,
    "inputs": replace(TEXTS, required=False),
    "messages": Field("array", "A conversation, instead of inputs.", minimum=1, maximum=MESSAGES, items=MESSAGE),
    "max_new_tokens": Field("integer", "Longest answer, in tokens.", default=50, minimum=1, maximum=4096),
    "do_sample": Field("boolean", "Draw, rather than always take the likeliest token.", default=False),
    "temperature": replace(DECODING["temperature"], default=1.0),
    "top_k": replace(DECODING["top_k"], default=50),
    "top_p": replace(DECODING["top_p"], default=1.0),
    "repetition_penalty": PENALTIES["repetition_penalty"],
    "num_return_sequences": Field("integer", "Answers to each input.", default=1, minimum=1, maximum=4),
    "return_full_text": Field("boolean", "Put the input in front of what was written.", default=True),
    "seed": DECODING["seed"],
}  # fmt: skip
SENTIMENT: Mapping[str, Field] = {
    **MODEL, "inputs": TEXTS, "top_k": Field("integer", "Labels to show.", default=1, minimum=1, maximum=2),
}  # fmt: skip
PAIR_OF_TEXTS = Field("object", "A prompt and an answer to it.", fields={"text": TEXT, "text_pair": TEXT})
REWARD: Mapping[str, Field] = {
    **MODEL,
    "inputs": Field("object", "A prompt and an answer, or a list of such pairs.", True, either=(
        PAIR_OF_TEXTS, Field("array", minimum=1, maximum=INPUTS, items=PAIR_OF_TEXTS),
    )),
}  # fmt: skip
FEATURES: Mapping[str, Field] = {**MODEL, "inputs": TEXTS}


def limits(settings: Settings) -> dict[str, int]:
    """The numbers that a page must know to stay within them."""
    return {
        "messages": MESSAGES, "characters": CHARACTERS, "prompt": PROMPT, "body": settings.max_body, "stop": 4,
        "compare": COMPARED, "beam_width": BEAM_WIDTH, "beam_tokens": BEAM_TOKENS, "top": TOP,
    }  # fmt: skip
