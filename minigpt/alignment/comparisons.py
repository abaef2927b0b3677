"""What a reward model learns from: the comparisons of a corpus, or, where nobody has voted yet, of an annotator.

In Tinytown the grader plays the annotator, as fair or as careless as one wishes. For film dialogs the film's own reply
is better than what the model makes up, and better than a reply from another scene.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.examples import Comparison, Conversation, Prompt, Turn, prompts_of
from ..data.formats import ComparisonCorpus, CorpusLoader
from ..errors import UserError
from ..files import write_atomically
from ..model.chat_model import ChatModel
from ..model.responses import Response, fit_prompts, respond
from ..model.sampling import CHATTY, Sampling
from ..run import COMPARISONS, Run
from .negatives import parse_kinds, synthetic

#: How good an answer to a prompt is, by a grader; only differences count.
Grade = Callable[[Sequence[Turn], str], float]
HELD_OUT = 0.1  # share of the comparisons that measure the reward model; their prompts occur nowhere else
REFERENCE_RESPONSES = 512


def open_comparisons(run: Run, chat: ChatModel) -> CorpusLoader:
    """The comparisons, ratings or labels of the reward stage.

    Where an annotator is to compare `chat`'s answers, that is done now, unless a run that is resumed has done it.
    A corpus named on the command line takes the annotator's place.
    """
    if run.arguments.corpus or not run.settings.annotator:
        return run.open_corpus(layout="comparisons")
    collected = run.folder / COMPARISONS
    if run.resuming and collected.is_file():
        return ComparisonCorpus.read(collected, valid_fraction=HELD_OUT)
    settings = run.settings
    length = settings.max_new_tokens
    corpus = run.open_corpus()
    run.say(f"feedback:  the model answers {settings.pairs:,} prompts, the annotator ({settings.annotator}) compares")
    rng = random.Random(settings.seed)
    if settings.annotator == "film":
        conversations = [c for c in corpus.train if isinstance(c, Conversation) and whole(chat, c.turns[:-1], length)]
        rng.shuffle(conversations)
        comparisons, dropped = film_samples(chat, conversations[: settings.pairs], length, settings.seed)
    else:
        prompts, lost = fit_prompts(chat, prompts_of(corpus.train), length)
        rng.shuffle(prompts)
        grader = run.recipe.need_grader()
        annotator = SimulatedAnnotator(
            lambda prompt, answer: grader.grade(prompt, answer)["score"], settings.noise, settings.length_bias
        )
        comparisons, dropped = rated_samples(chat, prompts[: settings.pairs], annotator, length, settings.seed)
        dropped += lost
    return CorpusLoader(comparisons, valid_fraction=HELD_OUT, dropped=dropped)


def whole(chat: ChatModel, turns: Sequence[Turn], reserve: int) -> bool:
    """Whether the last question fits as it is."""
    fitted = chat.fit(turns, reserve)
    return fitted is not None and not fitted.shortened


def worse_on_purpose(run: Run, corpus: CorpusLoader) -> tuple[list[Comparison], float]:
    """The synthetic comparisons that --augment asks for, and what share of all that is learned from they are."""
    kinds = parse_kinds(run.settings.augment)
    if not kinds:
        return [], 0.0
    if not isinstance(corpus.train[0], Comparison):
        raise UserError("--augment adds worse answers to comparisons; leave it out where answers are not compared.")
    extra = synthetic(corpus.train, kinds, run.settings.seed)
    share = len(extra) / (len(corpus.train) + len(extra))
    run.say(f"augment:   {len(extra):,} synthetic comparisons ({', '.join(kinds)}), {share:.0%} of the data")
    return extra, share


def save_comparisons(folder: Path, corpus: CorpusLoader) -> None:
    """Write them where students can read them, in the shape that TRL and `--format comparisons` read."""
    rows = [
        {
            "prompt": [{"role": turn.role, "content": turn.text} for turn in comparison.prompt],
            "chosen": [{"role": "assistant", "content": comparison.chosen}],
            "rejected": [{"role": "assistant", "content": comparison.rejected}],
            "split": split,
        }
        for split, examples in (("train", corpus.train), ("valid", corpus.valid))
        for comparison in examples
        if isinstance(comparison, Comparison)
    ]
    write_atomically(folder / COMPARISONS, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def reference_responses(run: Run, chat: ChatModel, corpus: CorpusLoader) -> list[Response]:
    """Answers of the model that PPO will start from: on these, rewards shall have mean 0 and deviation 1."""
    prompts: list[Prompt] = prompts_of(corpus.train)
    if not prompts and "ppo" in run.recipe.stages:
        prompts = prompts_of(run.recipe.open_corpus("ppo", run.arguments.corpora_dir).train)
    if not prompts:
        raise UserError("labels have no prompts to answer; add a [ppo] stage with prompts to the recipe.")
    random.Random(run.settings.seed).shuffle(prompts)
    length = run.settings.max_new_tokens
    chosen = fit_prompts(chat, prompts[:REFERENCE_RESPONSES], length)[0]
    return respond(chat, chosen, length, Sampling(seed=run.settings.seed))


def texts(chat: ChatModel, prompts: Sequence[Prompt], max_new_tokens: int, sampling: Sampling) -> list[str]:
    """One answer to each prompt."""
    return [response.text for response in respond(chat, prompts, max_new_tokens, sampling)]


@dataclass(frozen=True)
class SimulatedAnnotator:
    """Compares two answers by `grade`, with human weaknesses: `noise` is how often the choice is the wrong one,
    `length_bias` what each word of an answer is worth beside its quality of 0 to 1."""

    grade: Grade
    noise: float = 0.0
    length_bias: float = 0.0

    def better(self, prompt: Sequence[Turn], a: str, b: str, rng: random.Random) -> str | None:
        """The preferred one of two answers; None if they are as good as each other."""
        worth = [self.grade(prompt, text) + self.length_bias * len(text.split()) for text in (a, b)]
        if worth[0] == worth[1]:
            return None
        right = worth[0] > worth[1]
        return a if right != (rng.random() < self.noise) else b


def rated_samples(
    chat: ChatModel, prompts: Sequence[Prompt], annotator: SimulatedAnnotator, max_new_tokens: int, seed: int
) -> tuple[list[Comparison], Counter[str]]:
    """Two of the model's own answers to each prompt, compared; ties are counted as dropped."""
    rng = random.Random(seed)
    first = texts(chat, prompts, max_new_tokens, Sampling(seed=seed))
    second = texts(chat, prompts, max_new_tokens, Sampling(seed=seed + len(prompts)))
    comparisons: list[Comparison] = []
    dropped: Counter[str] = Counter()
    for prompt, a, b in zip(prompts, first, second, strict=True):
        chosen = annotator.better(prompt.turns, a, b, rng) if a and b and a != b else None
        if chosen is None:
            dropped["pairs of answers as good as each other"] += 1
        else:
            comparisons.append(Comparison(prompt.turns, chosen, b if chosen == a else a, prompt.group))
    return comparisons, dropped


def film_samples(
    chat: ChatModel, conversations: Sequence[Conversation], max_new_tokens: int, seed: int
) -> tuple[list[Comparison], Counter[str]]:
    """The film's own reply against what the model would say in a chat and against a reply from another scene, in turn.

    Films are not split over learning and measuring, but "What?" is said in many of them: each prompt is taken once.
    """
    rng = random.Random(seed)
    comparisons: list[Comparison] = []
    dropped: Counter[str] = Counter()
    once: dict[tuple[Turn, ...], Conversation] = {}
    for conversation in conversations:
        once.setdefault(conversation.turns[:-1], conversation)
    if repeated := len(conversations) - len(once):
        dropped["prompts that were taken already"] = repeated
    conversations = list(once.values())
    asked = [Prompt(c.turns[:-1]) for c in conversations[::2]]
    invented = texts(chat, asked, max_new_tokens, replace(CHATTY, seed=seed))
    for i, conversation in enumerate(conversations):
        if i % 2 == 0:
            other = invented[i // 2]
        else:
            scene = rng.choice(conversations)
            other = scene.turns[-1].text
        reply = conversation.turns[-1].text
        if not other or other == reply:
            dropped["pairs of the same reply"] += 1
        else:
            comparisons.append(Comparison(conversation.turns[:-1], reply, other, conversation.group))
    return comparisons, dropped
