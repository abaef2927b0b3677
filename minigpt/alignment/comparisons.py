"""What the reward stage learns from: the corpus of a recipe, or answers that a simulated rater compares."""

from __future__ import annotations

import json
import random
from pathlib import Path

from ..data.examples import Comparison, Conversation, Prompt, prompts_of
from ..data.formats import ComparisonCorpus, CorpusLoader
from ..data.truncation import fit_prompts, fits
from ..errors import UserError
from ..files import write_atomically
from ..model.gpt import GPT
from ..model.sampling import Sampling
from ..run import COMPARISONS, Stage
from .formulas import Episode
from .negatives import parse_kinds, synthetic
from .policy import write_answers
from .raters import SimulatedRater, film_samples, rated_samples

HELD_OUT = 0.1  # share of the comparisons that measure the reward model; their prompts occur nowhere else
REFERENCE_ANSWERS = 512


def open_feedback(stage: Stage, model: GPT) -> CorpusLoader:
    """The comparisons, ratings or labels of the reward stage.

    Where a rater is to compare the `model`'s answers, that is done now, unless a run that is resumed has done it.
    A corpus named on the command line takes the rater's place.
    """
    if stage.arguments.corpus or not stage.settings.rater:
        return stage.open_corpus(layout="comparisons")
    collected = stage.folder / COMPARISONS
    if stage.resuming and collected.is_file():
        return ComparisonCorpus.read(collected, valid_fraction=HELD_OUT)
    settings = stage.settings
    length = settings.max_new_tokens
    corpus = stage.open_corpus()
    stage.say(f"feedback:  the model answers {settings.pairs:,} prompts, the rater ({settings.rater}) compares")
    rng = random.Random(settings.seed)
    if settings.rater == "film":
        conversations = [c for c in corpus.train if isinstance(c, Conversation) and fits(model, c.turns[:-1], length)]
        rng.shuffle(conversations)
        comparisons, dropped = film_samples(model, conversations[: settings.pairs], length, settings.seed)
    else:
        prompts, lost = fit_prompts(model, prompts_of(corpus.train), length)
        rng.shuffle(prompts)
        truth = stage.recipe.need_truth()
        rater = SimulatedRater(
            lambda prompt, answer: truth.grade(prompt, answer)["score"], settings.noise, settings.length_bias
        )
        comparisons, dropped = rated_samples(model, prompts[: settings.pairs], rater, length, settings.seed)
        dropped += lost
    return CorpusLoader(comparisons, valid_fraction=HELD_OUT, dropped=dropped)


def worse_on_purpose(stage: Stage, corpus: CorpusLoader) -> tuple[list[Comparison], float]:
    """The synthetic comparisons that --augment asks for, and what share of all that is learned from they are."""
    kinds = parse_kinds(stage.settings.augment)
    if not kinds:
        return [], 0.0
    if not isinstance(corpus.train[0], Comparison):
        raise UserError("--augment adds worse answers to comparisons; leave it out where answers are not compared.")
    extra = synthetic(corpus.train, kinds, stage.settings.seed)
    share = len(extra) / (len(corpus.train) + len(extra))
    stage.say(f"augment:   {len(extra):,} synthetic comparisons ({', '.join(kinds)}), {share:.0%} of the data")
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


def reference_answers(stage: Stage, model: GPT, corpus: CorpusLoader) -> list[Episode]:
    """Answers of the model that PPO will start from: on these, rewards shall have mean 0 and deviation 1."""
    prompts: list[Prompt] = prompts_of(corpus.train)
    if not prompts and "ppo" in stage.recipe.stages:
        prompts = prompts_of(stage.recipe.open_corpus("ppo", stage.arguments.corpora_dir).train)
    if not prompts:
        raise UserError("labels have no prompts to answer; add a [ppo] stage with prompts to the recipe.")
    random.Random(stage.settings.seed).shuffle(prompts)
    length = stage.settings.max_new_tokens
    chosen = fit_prompts(model, prompts[:REFERENCE_ANSWERS], length)[0]
    episodes, _ = write_answers(model, chosen, length, Sampling(seed=stage.settings.seed))
    return episodes
