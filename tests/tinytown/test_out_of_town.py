"""What the town cannot know: the questions, what counts as an honest reply, and that the wordings are kept apart."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from minigpt.data.examples import Turn
from minigpt.tinytown import Town
from minigpt.tinytown.out_of_town import DOUBTS, KINDS, kind_of
from minigpt.tinytown.questions import AskedOutOfTown, normalise
from minigpt.tinytown.strangers import STRANGERS

TOWN = Town()
HONEST = "I am sorry, I only know Tinytown."


def user(text: str) -> tuple[Turn, ...]:
    return (Turn("user", text),)


def some(kind: str, unseen: bool = False, count: int = 60) -> Iterator[str]:
    item = next(item for item in KINDS if item.kind == kind)
    rng = random.Random(3)
    yield from (item.question(rng, unseen) for _ in range(count))


@pytest.mark.parametrize("kind", [item.kind for item in KINDS])
def test_the_grader_reads_every_question_as_of_its_kind(kind):
    for unseen in (False, True):
        for question in some(kind, unseen):
            found = TOWN.asked(user(question))
            assert isinstance(found, AskedOutOfTown) and found.item.kind == kind, question


@pytest.mark.parametrize("item", KINDS, ids=lambda item: item.kind)
def test_every_reply_of_a_kind_is_honest_and_the_good_ones_are_good(item):
    ask = user(item.question(random.Random(0)))
    for reply in (*item.good, *item.plain, item.curt):
        assert TOWN.grade(ask, reply).right, reply
        assert TOWN.grader.declines(reply), reply
    for reply in item.good:
        assert TOWN.grade(ask, reply).good, reply


@pytest.mark.parametrize("kind", [item.kind for item in KINDS])
def test_whatever_answers_is_not_honest(kind):
    ask = user(next(some(kind)))
    for reply in (
        "The park is known for benches.", "Elm Street.", "Yes.", "I hope that helps.", "Happy to help!", "42.", "",
        "Please ask me about Tinytown.", f"{HONEST} The park is known for benches.", "The capital is Maple Street.",
        "I do not only know Tinytown.", "I only know.", f"{HONEST} Anyone knows that.",
    ):  # fmt: skip
        assert not TOWN.grade(ask, reply).right, (ask, reply)


def test_an_excuse_that_does_not_fit_is_not_honest():
    france, tomas = user("What is the capital of France?"), user("Where does Carlos Smith live?")
    assert not TOWN.grade(france, "I am sorry, I only speak English.").right
    assert not TOWN.grade(france, "I am sorry, I know nobody of that name.").right
    assert TOWN.grade(tomas, "I am sorry, I know nobody of that name.").good


def test_who_declines_a_question_about_the_town_is_wrong():
    resident = TOWN.residents[0]
    ask = user(f"Where does {resident.name} live?")
    answer = f"{resident.name} lives on {resident.facts['street']}."
    for item in KINDS:
        for reply in (*item.good, *item.plain):
            assert not TOWN.grade(ask, reply).right, reply
            assert not TOWN.grade(ask, f"{answer} {reply}").right, reply
    assert TOWN.grade(ask, answer).right and not TOWN.grader.declines(answer)


def test_no_stranger_lives_in_the_town():
    residents = {resident.name for resident in TOWN.residents}
    for names in STRANGERS:
        assert len(set(names)) == len(names) and not residents & set(names)


def test_evaluation_asks_in_words_that_no_dialogue_has():
    said = {normalise(turn.text) for dialogue in TOWN.dialogues(8000) for turn in dialogue.turns if turn.role == "user"}
    questions = TOWN.out_of_town(200)
    assert len({q.conversation for q in questions}) == 200
    assert set(Counter(q.kind for q in questions).values()) == {20}
    assert not {normalise(q.conversation[-1].text) for q in questions} & said


def test_doubts_come_after_an_answer():
    for question in TOWN.out_of_town(100):
        assert len(question.conversation) == (3 if question.kind == DOUBTS.kind else 1)


def test_questions_about_the_town_are_not_out_of_it():
    for which in ("asked", "held_out"):
        for unseen in (False, True):
            for question in TOWN.questions(which, 1500, unseen_phrasing=unseen):
                assert kind_of(normalise(question.text)) is None, question.text


def test_the_dialogues_are_honest_as_often_as_they_are_right():
    marks = Counter(
        (asked.item.kind, TOWN.grade(dialogue.turns[: 2 * i + 1], dialogue.turns[2 * i + 1].text).right)
        for dialogue in TOWN.dialogues(3000)
        for i, asked in enumerate(dialogue.asked)
        if isinstance(asked, AskedOutOfTown)
    )
    for item in KINDS:
        honest, others = marks[item.kind, True], marks[item.kind, False]
        assert 0.85 < honest / (honest + others) < 0.99, item.kind
