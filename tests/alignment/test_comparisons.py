"""Simulated annotators: as careless and as biased as they are told to be, and their verdicts survive the file."""

from __future__ import annotations

import random

import pytest
from helpers.models import WORDS, questions, small_talk

from minigpt import (
    Comparison,
    Conversation,
    CorpusLoader,
    Document,
    LabelledText,
    Sampling,
    Turn,
    UserError,
    generate,
)
from minigpt.alignment.comparisons import SimulatedAnnotator, film_samples, rated_samples, save_comparisons, texts
from minigpt.config import RewardConfig
from minigpt.data.examples import Prompt, RatedAnswer, prompts_of
from minigpt.data.formats import ComparisonCorpus
from minigpt.model.responses import respond
from minigpt.model.sampling import CHATTY
from minigpt.tinytown import Town

ASKED = (Turn("user", "How are you?"),)


def by_quality(prompt, answer: str) -> float:
    """A grade by which an answer is as good as the number it begins with."""
    return float(answer.split()[0])


def choices(annotator: SimulatedAnnotator, a: str, b: str, count: int = 2000) -> float:
    """How often `a` is preferred to `b`."""
    rng = random.Random(0)
    return sum(annotator.better(ASKED, a, b, rng) == a for _ in range(count)) / count


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3, 0.5])
def test_noise_is_the_share_of_wrong_choices(noise):
    """On whichever side the better answer stands."""
    annotator = SimulatedAnnotator(by_quality, noise=noise)
    assert choices(annotator, "0.9", "0.2") == pytest.approx(1 - noise, abs=0.03)
    assert choices(annotator, "0.2", "0.9") == pytest.approx(noise, abs=0.03)


@pytest.mark.parametrize("noise", [-0.1, 0.6])
def test_noise_beyond_chance_is_refused(noise):
    with pytest.raises(UserError, match=rf"noise is {noise}; it must be at least 0 and at most 0.5"):
        RewardConfig(noise=noise)


def test_a_length_bias_is_what_each_word_is_worth():
    """Half a mark of quality is outweighed by more than ten words of 0.05, and not by fewer."""
    fair, biased = SimulatedAnnotator(by_quality), SimulatedAnnotator(by_quality, length_bias=0.05)
    good, long, longer = "0.9", "0.4 " + "blah " * 9, "0.4 " + "blah " * 11
    assert choices(fair, good, longer, 10) == choices(biased, good, long, 10) == 1
    assert choices(biased, good, longer, 10) == 0


def test_answers_as_good_as_each_other_are_a_tie_also_for_a_careless_annotator():
    assert SimulatedAnnotator(by_quality, noise=0.5).better(ASKED, "0.5 yes", "0.5 no", random.Random(0)) is None


def test_the_town_prefers_the_truth_and_good_manners():
    town = Town()
    annotator = SimulatedAnnotator(lambda prompt, answer: town.grade(prompt, answer).score)
    kind, rude = "I am well, thank you for asking!", "Go away and leave me alone with that."
    assert town.grade(ASKED, kind).score > town.grade(ASKED, rude).score
    assert annotator.better(ASKED, rude, kind, random.Random(0)) == kind


# Two samples of a model to each prompt.


def count_f(prompt, answer: str) -> float:
    return float(answer.split().count("f"))


def test_samples_are_compared_and_ties_are_counted(speaker):
    prompts = questions(60)
    comparisons, dropped = rated_samples(speaker, prompts, SimulatedAnnotator(count_f), 10, seed=0)
    assert len(comparisons) + dropped["pairs of answers as good as each other"] == 60
    assert 10 < len(comparisons) < 50
    asked = {prompt.turns: prompt.group for prompt in prompts}
    for comparison in comparisons:
        assert count_f(ASKED, comparison.chosen) > count_f(ASKED, comparison.rejected)
        assert comparison.chosen and comparison.rejected
        assert comparison.group == asked[comparison.prompt]


def test_a_careless_annotator_of_samples_is_wrong_as_often_as_told(speaker):
    comparisons, _ = rated_samples(speaker, questions(400), SimulatedAnnotator(count_f, noise=0.25), 10, seed=0)
    wrong = sum(count_f(ASKED, c.chosen) < count_f(ASKED, c.rejected) for c in comparisons)
    assert wrong / len(comparisons) == pytest.approx(0.25, abs=0.07)


def test_the_same_seed_collects_the_same_comparisons(speaker):
    first, again, other = (
        rated_samples(speaker, questions(20), SimulatedAnnotator(count_f), 10, seed) for seed in (3, 3, 4)
    )
    assert first == again != other


def test_samples_come_from_the_models_whole_distribution(speaker):
    """Text i is what `generate` draws with seed + i, however many are asked at once."""
    prompts = questions(140)
    sampled = texts(speaker, prompts, 6, Sampling(seed=5))
    for i in (0, 127, 128, 139):
        ids = speaker.tokenizer.encode_prompt(prompts[i].turns)
        (alone,) = generate(speaker.gpt, [ids], 6, Sampling(seed=5 + i), {speaker.tokenizer.eos})
        assert sampled[i] == speaker.tokenizer.decode(alone.ids).strip()


# A film's own replies.


def test_a_films_own_reply_stands_against_a_chatty_one_and_one_of_another_scene(speaker):
    scenes = small_talk(40, seed=5)
    comparisons, dropped = film_samples(speaker, scenes, 10, seed=0)
    assert len(comparisons) + sum(dropped.values()) == 40 and len(comparisons) > 30
    of_scene = {scene.group: scene for scene in scenes}
    replies = {scene.turns[-1].text for scene in scenes}
    chatted = respond(speaker, [Prompt(scene.turns[:-1]) for scene in scenes[::2]], 10, CHATTY)
    for comparison in comparisons:
        scene = of_scene[comparison.group]
        assert comparison.prompt == scene.turns[:-1] and comparison.chosen == scene.turns[-1].text
        assert comparison.rejected != comparison.chosen
        number = scenes.index(scene)
        assert comparison.rejected in replies if number % 2 else comparison.rejected == chatted[number // 2].text


def test_what_is_said_in_two_films_is_compared_in_one(speaker):
    """So no prompt is learned from in one film and measured in the other; what is left out is counted."""
    scenes = small_talk(30, seed=5)
    remakes = [Conversation(scene.turns, f"remake of {scene.group}") for scene in scenes[:10]]
    comparisons, dropped = film_samples(speaker, scenes + remakes, 10, seed=0)
    prompts = [comparison.prompt for comparison in comparisons]
    assert len(set(prompts)) == len(prompts) > 20
    assert dropped["prompts that were taken already"] == 40 - len({scene.turns[:-1] for scene in scenes})


# The file of comparisons.


def test_saved_comparisons_are_read_as_they_were_written(tmp_path):
    """Prompts of several turns, other alphabets and line ends; training rows first, then those held out."""
    talk = (Turn("system", "Be kind."), Turn("user", "안녕"), Turn("assistant", "Hello"), Turn("user", "Who\nare you?"))
    written = [Comparison(talk, f'good "{i}"\n🦊', f"bad {i}", "somewhere") for i in range(3)]
    written += [Comparison((Turn("user", f"Question {i}?"),), "yes", "no", str(i)) for i in range(3)]
    save_comparisons(tmp_path, CorpusLoader(written[:4], written[4:]))
    corpus = ComparisonCorpus.read(tmp_path / "comparisons.jsonl", valid_fraction=0.0)
    read = [*corpus.train, *corpus.valid]
    assert [(c.prompt, c.chosen, c.rejected) for c in read] == [(c.prompt, c.chosen, c.rejected) for c in written]
    assert [c.group == read[0].group for c in read] == [True] * 3 + [False] * 3


def test_what_was_held_out_stays_held_out_in_the_file(tmp_path):
    """A resumed run reads the file, and must not learn from what the run before it was measured on."""
    rng = random.Random(0)
    asked = prompts_of(small_talk(60))
    made = [Comparison(prompt.turns, rng.choice(WORDS) + " x", "y", prompt.group) for prompt in asked]
    corpus = CorpusLoader(made, valid_fraction=0.1)
    save_comparisons(tmp_path, corpus)
    again = ComparisonCorpus.read(tmp_path / "comparisons.jsonl", valid_fraction=0.1)
    for ours, theirs in ((corpus.train, again.train), (corpus.valid, again.valid)):
        assert [(c.prompt, c.chosen) for c in theirs] == [(c.prompt, c.chosen) for c in ours]


# What is asked.


def test_prompts_of_every_kind_of_example_that_asks():
    """A conversation asks before each of the assistant's turns; texts ask nothing."""
    hello, fine, bye = Turn("user", "Hello"), Turn("assistant", "Fine"), Turn("user", "Bye")
    examples = [
        Conversation((hello, fine, bye, fine)),
        Comparison((bye,), "a", "b", "g"),
        RatedAnswer((hello, fine, bye), "a", 3.0, "h"),
        Prompt((hello,), "i"),
        Document("Hello"),
        LabelledText("Hello", "positive"),
    ]
    asked = [prompt.turns for prompt in prompts_of(examples)]
    assert asked == [(hello,), (hello, fine, bye), (bye,), (hello, fine, bye), (hello,)]
    assert [prompt.group for prompt in prompts_of(examples)] == ["hello", "bye", "g", "h", "i"]
