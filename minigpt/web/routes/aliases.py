"""Routes that clients of two other systems know: a Korean summariser with a feedback service, and a Russian chat bot
with two modes. Thin: each is a call of the same service."""

from __future__ import annotations

import threading
from collections import OrderedDict

from flask import Blueprint

from .. import bodies
from ..schema import takes
from ..service import Json, Service
from ..sse import client_gone

USERS = 1000  # histories that are kept; the one that was used longest ago goes first


class Histories:
    """What each user has said and heard, in memory."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, list[Json]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, user: str) -> list[Json]:
        with self._lock:
            return list(self._turns.get(user, []))

    def add(self, user: str, *turns: Json) -> list[Json]:
        """Both sides of an exchange at once, so that two tabs do not mix theirs up."""
        with self._lock:
            history = self._turns.setdefault(user, [])
            history += turns
            del history[: max(0, len(history) - bodies.MESSAGES)]
            self._turns.move_to_end(user)
            while len(self._turns) > USERS:
                self._turns.popitem(last=False)
            return list(history)

    def clear(self, user: str) -> None:
        with self._lock:
            self._turns.pop(user, None)


def make(service: Service) -> Blueprint:
    aliases = Blueprint("aliases", __name__)
    histories = Histories()

    def answer(messages: list[Json], model: str | None = None, mode: str = "dialogue", seed: int | None = 0) -> str:
        messages = messages[-(bodies.MESSAGES - 1) :]
        body = bodies.Generation.model_validate({"messages": messages, "mode": mode, "seed": seed})
        [reply] = service.side_by_side([(body, model)], "alias", client_gone())
        return reply.text.strip()

    def asked(text: str) -> list[Json]:
        return [{"role": "user", "content": text}]

    def trained(recipe: str, *stages: str) -> str | None:
        """The recipe's model of the first of these stages that was trained; None, the default model, without any."""
        entries = service.cache.entries()
        return next((name for stage in stages if (name := f"{recipe}/{stage}") in entries), None)

    @aliases.post("/summarize")
    @takes()
    def summarize(body: bodies.Summarize) -> Json:
        """A summary by the policy before reinforcement learning."""
        return {"summary": answer(asked(body.text), trained("summary", "sft"))}

    @aliases.post("/summarize_better")
    @takes()
    def summarize_better(body: bodies.Summarize) -> Json:
        """A summary by the policy after it."""
        return {"summary": answer(asked(body.text), trained("summary", "ppo", "sft"))}

    @aliases.post("/infer")
    @takes()
    def infer(body: bodies.Infer) -> Json:
        """The reward of a summary."""
        scored = service.score(bodies.Score.model_validate({"messages": asked(body.text), "answers": [body.summary]}))
        return {"result": scored["scores"][0], "reason": scored["reason"]}

    @aliases.get("/inference")
    @takes()
    def inference(*, text: bodies.Question) -> Json:
        """Two summaries to choose from."""
        return two(text)

    @aliases.post("/inference")
    @takes()
    def inference_of_body(body: bodies.Summarize) -> Json:
        """Two summaries to choose from."""
        return two(body.text)

    def two(text: str) -> Json:
        models = (trained("summary", "ppo", "sft"), trained("summary", "sft"))
        texts = [answer(asked(text), model, seed=seed) for seed, model in enumerate(models)]
        return {"inference_results0": texts[0], "inference_results1": texts[1]}

    @aliases.post("/gpt2")
    @takes()
    def gpt2(body: bodies.Gpt2) -> Json:
        """Answer a user, and give that user's whole history back."""
        question = {"role": "user", "content": body.query}
        bot = trained("persona", "ppo", "sft")
        text = answer([*histories.get(body.user), question], bot, mode=body.mode, seed=None)
        history = histories.add(body.user, question, {"role": "assistant", "content": text[: bodies.CHARACTERS]})
        return {"response": [turn["content"] for turn in history]}

    @aliases.get("/chat")
    @takes()
    def chat(*, user: bodies.User = "") -> Json:
        """A user's history."""
        return {"response": [turn["content"] for turn in histories.get(user)]}

    @aliases.delete("/clear")
    @takes()
    def clear(*, user: bodies.User = "") -> Json:
        """Forget a user's history."""
        histories.clear(user)
        return {"response": []}

    return aliases
