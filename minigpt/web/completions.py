"""Going on with texts, and what a model makes of the text that it is given: how evaluation harnesses score one."""

from __future__ import annotations

from functools import partial

from . import inspect as look
from .engine import Drawn
from .errors import ApiError, bad_value
from .model_cache import Loaded
from .openai_bodies import CHOICES, PROMPTS, Completion
from .replies import Reply
from .service import Service

MOST = max(CHOICES, PROMPTS)


def complete_all(service: Service, body: Completion) -> list[Reply]:
    """Begin to go on with every prompt, `n` times each. All of them or, with an ApiError, none."""
    loaded = service.cache.open(body.model)
    if len(body.prompts) * body.n > MOST:
        raise bad_value(f"a request may ask for {MOST} texts, prompts times n.", "prompt")
    top = -1 if body.logprobs is None else body.logprobs
    prompts = [_ids(service, loaded, prompt, body.max_tokens) for prompt in body.prompts]
    wanted = [(ids, one) for ids in prompts for one in service.seeded(body, body.n)]

    def begin(ids: list[int], one: Completion) -> Reply:
        return service.begin(loaded, ids, one.longest, one, top, kind="cmpl", trim=False)

    return service.all_or_none([partial(begin, *one) for one in wanted])


def _ids(service: Service, loaded: Loaded, prompt: str | list[int], max_tokens: int) -> list[int]:
    """A text begins as every document does; ids are taken as they are."""
    if isinstance(prompt, str):
        ids = loaded.tokenizer.encode_document(prompt)
    else:
        ids = service.check_ids(loaded, prompt, "prompt")
    room = loaded.chat.context - (max_tokens > 0)
    if len(ids) > room:
        raise ApiError(400, "too_long", f"This prompt has {len(ids)} tokens; the model can read {room}.", "prompt")
    return ids


def read(service: Service, reply: Reply, top: int) -> list[Drawn]:
    """The tokens of a prompt with their log-probabilities, each after those before it, and `top` alternatives. The
    first has none, unless it stands behind the piece that starts a document."""
    loaded, ids = reply.loaded, reply.ticket.job.ids
    with service.cache.work_lock():
        logprobs = look.answer_logprobs(loaded.model, ids[:1], ids[1:])
    starts = ids[0] == loaded.tokenizer.bos
    drawn = [] if starts else [Drawn(ids[0])]
    for token, scores in zip(ids[1:], logprobs, strict=False):  # behind the last one there is nothing to score
        best = scores.topk(min(top, scores.numel()))
        drawn.append(
            Drawn(token, float(scores[token]), list(zip(best.indices.tolist(), best.values.tolist(), strict=True)))
        )
    return drawn
