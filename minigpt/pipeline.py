"""One call for each thing that a model folder can do, with Hugging Face's names and shapes.

    from minigpt import pipeline

    write = pipeline("text-generation")
    write("Where does Max Chase live?", max_new_tokens=30)     # [{"generated_text": "Where does Max Chase ..."}]
    judge = pipeline("sentiment", model="trained_models/expand/reward")
    judge(["A lovely day.", "It rained."])                     # [{"label": "positive", "score": 0.98}, {...}]

A list of inputs gives a list of what each of them gives by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.nn.utils.rnn import pad_sequence

from .alignment.reward_model import RewardModel, load_reward_model
from .data.examples import ROLES, Prompt, Turn
from .errors import UserError, nearest
from .model.chat_model import ChatModel
from .model.checkpoint import load_model
from .model.gpt import evaluating
from .model.responses import respond
from .model.sampling import Sampling
from .registry import MODELS, SHIPPED_MODELS

AT_ONCE = 64  # texts that one forward pass reads

Chat = Sequence[dict[str, str]]
Result = dict[str, Any]
Item = TypeVar("Item")


class TextGeneration:
    """Goes on with a text, or answers a conversation. A model that has learned to answer takes a text as a question."""

    def __init__(self, model: ChatModel) -> None:
        self.model = model

    def __call__(
        self,
        inputs: str | Chat | Sequence[str] | Sequence[Chat],
        *,
        max_new_tokens: int = 50,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int = 50,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        num_return_sequences: int = 1,
        return_full_text: bool = True,
        seed: int = 0,
    ) -> list[Any]:
        """A list with a {"generated_text": ...} for each of `num_return_sequences`; many inputs give a list of lists.

        Of a conversation, "generated_text" holds all messages with the answer as the last; without `return_full_text`,
        of either, the new text alone. It fills at most half of the model's context. Greedy without `do_sample`;
        with it, sequence j of input i is drawn with the seed `seed + i * num_return_sequences + j`.
        Raises ValueError for inputs that are too long, or not as above.
        """
        many = not isinstance(inputs, str) and not is_chat(inputs)
        if num_return_sequences < 1 or max_new_tokens < 1:
            raise ValueError("num_return_sequences and max_new_tokens must be at least 1")
        if num_return_sequences > 1 and not do_sample:
            raise ValueError("without do_sample all sequences would be the same; leave out num_return_sequences")
        sampling = Sampling(repetition_penalty=repetition_penalty, temperature=0.0, seed=seed)
        if do_sample:
            sampling = replace(sampling, temperature=temperature, top_k=top_k, top_p=top_p)
        each: list[Any] = list(inputs) if many else [inputs]
        prompts = [prompt for prompt in each for _ in range(num_return_sequences)]
        written = self._write(prompts, max_new_tokens, sampling)
        results = [
            [self.result(prompt, text, return_full_text) for text in texts]
            for prompt, texts in zip(each, batched(written, num_return_sequences), strict=True)
        ]
        return results if many else results[0]

    def _write(self, prompts: Sequence[Any], max_new_tokens: int, sampling: Sampling) -> list[str]:
        """What follows each prompt."""
        room = min(max_new_tokens, self.model.context // 2)
        responses = respond(self.model, [Prompt(asked(prompt)) for prompt in prompts], room, sampling)
        return [self.model.tokenizer.decode(response.ids[response.start :]) for response in responses]

    def result(self, prompt: str | Chat, text: str, full: bool = True) -> Result:
        """What was written, after the prompt if `full`."""
        answer = text.strip() if self.model.is_chat or not isinstance(prompt, str) else text
        if not full:
            return {"generated_text": answer}
        if isinstance(prompt, str):
            return {"generated_text": prompt + text}
        return {"generated_text": [*prompt, {"role": "assistant", "content": answer}]}


class Sentiment:
    """The label of a text, by a reward model that learned from labelled texts."""

    def __init__(self, model: RewardModel) -> None:
        if not model.labels:
            raise UserError(
                "this reward model has learned from comparisons or ratings, so it knows no labels; "
                "use the task reward, or train one from labels with run_reward.py --recipe expand."
            )
        self.model = model

    def __call__(self, inputs: str | Sequence[str], *, top_k: int | None = 1) -> list[Any]:
        """A {"label": ..., "score": probability} for each input, of its likeliest label. With `top_k` 2, or None, a
        list of both labels for each, the likelier first. Raises ValueError for a text that does not fit the context.

        Where there were more than two labels, the model only tells the wanted one from the others.
        """
        texts = to_texts(inputs)
        results = [self._labels(odds) for odds in self.model.log_odds(self.model.score([((), text) for text in texts]))]
        if top_k == 1:
            return [labels[0] for labels in results]
        ranked = [labels[:top_k] for labels in results]
        return ranked[0] if isinstance(inputs, str) else ranked

    def _labels(self, odds: float) -> list[Result]:
        wanted, *others = self.model.labels
        other = others[0] if len(others) == 1 else f"not {wanted}"
        share = float(torch.tensor(odds, dtype=torch.double).sigmoid())
        labels = [{"label": wanted, "score": share}, {"label": other, "score": 1 - share}]
        return sorted(labels, key=lambda label: -label["score"])


class Reward:
    """The reward of an answer, in standard deviations of the answers that it was normalised on."""

    def __init__(self, model: RewardModel) -> None:
        self.model = model

    def __call__(self, inputs: Any) -> list[Result]:
        """A {"label": "reward", "score": ...} for each input. An input is {"text": prompt, "text_pair": answer}, or
        messages of which the assistant's is the last; for a model that learned from labels also a bare text.
        Raises ValueError for inputs that are too long, or not as above."""
        one = isinstance(inputs, str | dict) or is_chat(inputs)
        examples = [self._example(given) for given in ([inputs] if one else inputs)]
        return [{"label": "reward", "score": reward} for reward in self.model.score(examples)]

    def _example(self, given: Any) -> tuple[Sequence[Turn], str]:
        if isinstance(given, dict) and set(given) == {"text", "text_pair"} and isinstance(given["text_pair"], str):
            return to_turns(given["text"]), given["text_pair"]
        if is_chat(given) and given[-1]["role"] == "assistant" and len(given) > 1:
            turns = to_turns(given)
            return turns[:-1], turns[-1].text
        if isinstance(given, str) and not self.model.reads_prompt:
            return (), given
        raise ValueError(
            'a reward is for {"text": prompt, "text_pair": answer}, or for messages that end with the assistant\'s'
        )


class FeatureExtraction:
    """The last layer's output for every token of a text."""

    def __init__(self, model: ChatModel) -> None:
        self.model = model

    def __call__(self, inputs: str | Sequence[str]) -> list[Any]:
        """Numbers [1][tokens][hidden] for a text, a list of such for many; the first token is the one that begins every
        document. Raises ValueError for a text that does not fit the context."""
        context = self.model.context
        rows = [self.model.tokenizer.encode_document(text) for text in to_texts(inputs)]
        for row in rows:
            if len(row) > context:
                raise ValueError(f"a text has {len(row)} tokens; the model can read {context}")
        features: list[Any] = []
        with evaluating(self.model.gpt):
            for some in batched(rows, AT_ONCE):
                # Padding on the right changes nothing: with causal attention, nothing looks at what comes after it.
                ids = pad_sequence([torch.tensor(row) for row in some], batch_first=True).to(self.model.device)
                hidden = self.model.gpt.hidden_states(ids).float().cpu()
                features += [[hidden[i, : len(row)].tolist()] for i, row in enumerate(some)]
        return features[0] if isinstance(inputs, str) else features


Pipeline = TextGeneration | Sentiment | Reward | FeatureExtraction

#: What makes each task's pipeline, from what kind of model, and the folder where that is by default.
TASKS: dict[str, tuple[Callable[[Any], Pipeline], Callable[..., Any], Path]] = {
    "text-generation": (TextGeneration, load_model, SHIPPED_MODELS / "ppo"),
    "sentiment": (Sentiment, load_reward_model, MODELS / "expand" / "reward"),
    "reward": (Reward, load_reward_model, SHIPPED_MODELS / "reward"),
    "feature-extraction": (FeatureExtraction, load_model, SHIPPED_MODELS / "pretrain"),
}
ALIASES = {"sentiment-analysis": "sentiment", "text-classification": "sentiment"}


def pipeline(task: str, model: str | Path | ChatModel | RewardModel | None = None, device: str = "cpu") -> Any:
    """A function for a task: "text-generation", "sentiment" (or "sentiment-analysis", "text-classification"), "reward"
    or "feature-extraction".

    `model` is a model folder, or a model in memory; without it, a shipped one, for sentiment that of the recipe expand.
    Raises UserError for an unknown task, and for a folder that holds no such model.
    """
    name = ALIASES.get(task, task)
    if name not in TASKS:
        known = [*TASKS, *ALIASES]
        raise UserError(f"there is no task {task!r}{nearest(task, known)}; there are {', '.join(known)}.")
    make, load, default = TASKS[name]
    if isinstance(model, ChatModel | RewardModel):
        return make(model)
    folder = default if model is None else Path(model)
    if model is None and not folder.exists():
        how = "run_reward.py --recipe expand trains one" if name == "sentiment" else "name a model folder"
        raise UserError(f"{folder} does not exist, so there is no model for {task} yet; {how}.")
    return make(load(folder, device))


def is_chat(given: Any) -> bool:
    """Whether these are the messages of one conversation."""
    return isinstance(given, list | tuple) and bool(given) and all(isinstance(m, dict) and "role" in m for m in given)


def to_turns(given: Any) -> tuple[Turn, ...]:
    """A text as a user's turn, messages as turns. Raises ValueError for anything else."""
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not is_chat(given):
        raise ValueError(f"expected a text or a list of messages, found {given!r}")
    for message in given:
        if message["role"] not in ROLES or not isinstance(message.get("content"), str):
            raise ValueError(
                f"expected a message with one of the roles {', '.join(ROLES)} and a text, found {message!r}"
            )
    return tuple(Turn(message["role"], message["content"]) for message in given)


def asked(given: Any) -> tuple[Turn, ...]:
    """The turns of a prompt. Raises ValueError if it is none."""
    turns = to_turns(given)
    if turns[-1].role != "user":
        raise ValueError("the last message must be a user's: it is what the model answers")
    return turns


def to_texts(inputs: str | Sequence[str]) -> list[str]:
    texts = [inputs] if isinstance(inputs, str) else list(inputs)
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"expected a text or a list of texts, found {text!r}")
    return texts


def batched(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
