"""The routes of two older systems, for their clients: a Korean summariser with a feedback service, and a Russian chat
bot with two modes. Thin: each is a call of the same service."""

from __future__ import annotations

import threading
from collections import OrderedDict

from flask import Blueprint

from ..schema import Field, check_object, takes
from ..service import Body, Service
from ..sse import client_gone
from . import tables

USERS = 1000  # histories that are kept; the one that was used longest ago goes first
TEXT = Field("string", required=True, minimum=1, maximum=tables.CHARACTERS)
USER = Field("string", "Whose history; each has its own.", default="", maximum=64)


class Histories:
    """What each user has said and heard, in memory."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, list[Body]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, user: str) -> list[Body]:
        with self._lock:
            return list(self._turns.get(user, []))

    def add(self, user: str, *turns: Body) -> list[Body]:
        """Both sides of an exchange at once, so that two tabs do not mix theirs up."""
        with self._lock:
            history = self._turns.setdefault(user, [])
            history += turns
            del history[: max(0, len(history) - tables.MESSAGES)]
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

    def answer(messages: list[Body], model: str | None = None, mode: str = "dialogue", seed: int | None = 0) -> str:
        messages = messages[-(tables.MESSAGES - 1) :]
        body = check_object(tables.CHAT, {"messages": messages, "mode": mode, "seed": seed}, "")
        return service.write(body, model, client_gone()).text.strip()

    def asked(text: str) -> list[Body]:
        return [{"role": "user", "content": text}]

    def trained(recipe: str, *stages: str) -> str | None:
        """The recipe's model of the first of these stages that was trained; None, the default model, without any."""
        entries = service.shelf.entries()
        return next((name for stage in stages if (name := f"{recipe}/{stage}") in entries), None)

    @aliases.post("/summarize")
    @takes({"text": TEXT})
    def summarize(body: Body) -> Body:
        """A summary by the policy before reinforcement learning."""
        return {"summary": answer(asked(body["text"]), trained("summary", "sft"))}

    @aliases.post("/summarize_better")
    @takes({"text": TEXT})
    def summarize_better(body: Body) -> Body:
        """A summary by the policy after it."""
        return {"summary": answer(asked(body["text"]), trained("summary", "ppo", "sft"))}

    @aliases.post("/infer")
    @takes({"text": TEXT, "summary": Field("string", required=True, maximum=tables.CHARACTERS)})
    def infer(body: Body) -> Body:
        """The reward of a summary."""
        scored = service.score({"messages": asked(body["text"]), "answers": [body["summary"]], "reward_model": None})
        return {"result": scored["scores"][0], "reason": scored["reason"]}

    @aliases.get("/inference")
    @takes(query={"text": TEXT})
    def inference(query: Body) -> Body:
        """Two summaries to choose from."""
        return two(query["text"])

    @aliases.post("/inference")
    @takes({"text": TEXT})
    def inference_of_body(body: Body) -> Body:
        """Two summaries to choose from."""
        return two(body["text"])

    def two(text: str) -> Body:
        models = (trained("summary", "ppo", "sft"), trained("summary", "sft"))
        texts = [answer(asked(text), model, seed=seed) for seed, model in enumerate(models)]
        return {"inference_results0": texts[0], "inference_results1": texts[1]}

    @aliases.post("/gpt2")
    @takes({"query": TEXT, "user": USER, "mode": tables.CONVERSATION["mode"]})
    def gpt2(body: Body) -> Body:
        """Answer a user, and give that user's whole history back."""
        question = {"role": "user", "content": body["query"]}
        bot = trained("persona", "ppo", "sft")
        text = answer([*histories.get(body["user"]), question], bot, mode=body["mode"], seed=None)
        history = histories.add(body["user"], question, {"role": "assistant", "content": text[: tables.CHARACTERS]})
        return {"response": [turn["content"] for turn in history]}

    @aliases.get("/chat")
    @takes(query={"user": USER})
    def chat(query: Body) -> Body:
        """A user's history."""
        return {"response": [turn["content"] for turn in histories.get(query["user"])]}

    @aliases.delete("/clear")
    @takes(query={"user": USER})
    def clear(query: Body) -> Body:
        """Forget a user's history."""
        histories.clear(query["user"])
        return {"response": []}

    return aliases
