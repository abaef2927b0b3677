"""The grader of Tinytown: right replies pass, wrong ones fail, and nothing it reads makes it raise."""

from __future__ import annotations

import random
import string

import pytest

from minigpt.data.examples import Turn
from minigpt.tinytown import Grade, Town
from minigpt.tinytown.questions import AskedFact, AskedNothing, AskedUnknowable
from minigpt.tinytown.topics import fill


@pytest.fixture(scope="module")
def town() -> Town:
    return Town()


def user(*texts: str) -> list[Turn]:
    """A conversation whose odd turns are the guide's."""
    return [Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(texts)]


def test_every_generated_reply_gets_the_grade_of_its_quality(town: Town) -> None:
    expected = {
        "good": Grade(right=True, polite=True, concise=True, fluent=True),
        "plain": Grade(right=True, polite=False, concise=True, fluent=True),
        "curt": Grade(right=True, polite=False, concise=True, fluent=True),
        "rude": Grade(right=True, polite=False, concise=True, fluent=True),
    }
    for dialogue in town.dialogues(6000):
        for i, (quality, asked) in enumerate(zip(dialogue.qualities, dialogue.asked, strict=True)):
            context, reply = dialogue.turns[: 2 * i + 1], dialogue.turns[2 * i + 1].text
            assert town.asked(context) == asked, context[-1].text
            grade = town.grade(context, reply)
            if quality in expected:
                assert grade == expected[quality], (context[-1].text, reply)
            elif quality == "rambling":
                assert grade.right and not grade.concise, reply
            else:
                assert not grade.right, (context[-1].text, reply)


def test_every_evaluation_question_is_understood_and_its_truth_accepted(town: Town) -> None:
    for which in ("asked", "held_out"):
        for unseen_phrasing in (False, True):
            for question in town.questions(which, 3000, seed=5, unseen_phrasing=unseen_phrasing):
                asked = town.asked(question.conversation)
                assert isinstance(asked, AskedFact), question.text
                assert (asked.subject, asked.topic.name) == (question.resident, question.fact), question.text
                assert town.grade(question.conversation, f"{question.answer}.").right


def test_every_other_value_of_the_kind_is_wrong(town: Town) -> None:
    for question in town.questions("held_out", 200, seed=1):
        asked = town.asked(question.conversation)
        assert isinstance(asked, AskedFact)
        template = asked.topic.answers[0]
        for value in town.values(asked.topic):
            if value == question.resident.name:
                continue
            reply = fill(template, question.resident.reference, value)
            assert town.grade(question.conversation, reply).right == (value == question.answer), reply


def test_the_truth_about_somebody_else_is_wrong(town: Town) -> None:
    for question in town.questions("asked", 300, seed=2):
        other = next(r for r in town.residents if r.name not in (question.resident.name, question.answer))
        asked = town.asked(question.conversation)
        assert isinstance(asked, AskedFact)
        assert not town.grade(
            question.conversation, fill(asked.topic.answers[0], other.reference, question.answer)
        ).right


def test_naming_two_values_is_wrong(town: Town) -> None:
    resident = town.residents[0]
    ask = user(f"What is {resident.name}'s favourite colour?")
    truth = resident.facts["colour"]
    other = "red" if truth != "red" else "blue"
    assert town.grade(ask, f"It is {truth}.").right
    assert not town.grade(ask, f"It is {truth} or {other}.").right


def test_values_inside_other_words_do_not_count(town: Town) -> None:
    resident = next(r for r in town.residents if r.facts["workplace"] == "bakery")
    ask = user(f"Where does {resident.name} work?")
    assert town.grade(ask, "At the BAKERY.").right
    assert not town.grade(ask, "As a baker.").right
    goldfish = next(r for r in town.residents if r.facts["colour"] == "gold")
    assert not town.grade(user(f"What is {goldfish.name}'s favourite colour?"), "Goldfish.").right


def test_pronouns_and_first_names_mean_the_resident_last_asked_about(town: Town) -> None:
    one, two = (next(r for r in town.residents if r.pronoun == pronoun) for pronoun in ("she", "he"))
    talk = user(f"Where does {one.name} live?", "On a street.", f"How old is {two.name}?", "Old.")
    for pronoun, resident in (("she", one), ("he", two)):
        asked = town.asked([*talk, *user(f"And what does {pronoun} like to eat?")])
        assert isinstance(asked, AskedFact)
        assert asked.subject is resident and asked.answer == resident.facts["food"]
    asked = town.asked([*talk, *user(f"What is {one.first}'s hobby?")])
    assert isinstance(asked, AskedFact) and asked.subject is one
    assert town.asked(user("Where does she live?")) is None, "nobody was mentioned before"


def test_the_guide_naming_a_friend_does_not_change_who_is_meant(town: Town) -> None:
    resident = town.residents[0]
    talk = user(f"Who is {resident.name}'s best friend?", f"{resident.facts['friend']}.")
    asked = town.asked([*talk, *user(f"How old is {resident.pronoun}?")])
    assert isinstance(asked, AskedFact) and asked.subject is resident


def test_questions_are_read_whatever_the_case_and_spacing(town: Town) -> None:
    resident = town.residents[7]
    asked = town.asked(user(f"  where does  {resident.name.upper()} LIVE "))
    assert isinstance(asked, AskedFact) and asked.subject is resident and asked.topic.name == "street"


def test_a_question_about_a_season_may_name_the_cafe(town: Town) -> None:
    asked = town.asked(user("What does the cafe serve in winter?"))
    assert isinstance(asked, AskedFact) and asked.subject.name == "winter"


def test_nobody_knows_the_unknowable(town: Town) -> None:
    resident = town.residents[3]
    ask = user(f"What is {resident.name}'s shoe size?")
    assert isinstance(town.asked(ask), AskedUnknowable)
    assert town.grade(ask, "I am sorry, I do not know that.").good
    assert not town.grade(ask, "I am sorry, I do not know that, but 41 is likely.").right
    assert not town.grade(ask, "41, with pleasure.").right
    assert not town.grade(user(f"How old is {resident.name}?"), "I am sorry, I do not know.").right


def test_small_talk_needs_a_fitting_sentence(town: Town) -> None:
    ask = user("Hello!")
    assert isinstance(town.asked(ask), AskedNothing)
    assert town.grade(ask, "Hello and welcome to Tinytown! How can I help you?").good
    assert not town.grade(ask, "Please, thank you, gladly.").right
    assert not town.grade(ask, f"Hello, {town.residents[0].name} is a baker.").right


def test_questions_of_other_worlds_have_no_right_reply(town: Town) -> None:
    for ask in (user("Where does Harry Potter live?"), user(""), [], [Turn("assistant", "Hello!")]):
        assert town.asked(ask) is None
        assert not town.grade(ask, "On Elm Street.").right


@pytest.mark.parametrize(
    ("reply", "mark"),
    [
        ("Happy to help! Stop asking.", "polite"),
        ("Elm Street.", "polite"),
        ("", "concise"),
        ("On Elm Street. " * 13, "concise"),
        ("", "fluent"),
        ("elm street.", "fluent"),
        ("Elm Street", "fluent"),
        ("Elm Elm Elm Street.", "fluent"),
        ("She lives on Elm Street, she lives on Elm Street.", "fluent"),
        ("She lives on Elm Strasse.", "fluent"),
        ("She lives on {Elm} Street.", "fluent"),
        ("...", "fluent"),
    ],
)
def test_flaws_cost_their_mark(town: Town, reply: str, mark: str) -> None:
    grade = town.grade(user(f"Where does {town.residents[0].name} live?"), reply)
    assert getattr(grade, mark) is False


def test_score_counts_truth_as_much_as_manners() -> None:
    assert Grade(True, True, True, True).score == pytest.approx(1)
    assert Grade(True, False, False, False).score == pytest.approx(0.5)
    assert Grade(False, True, True, True).score == pytest.approx(0.5)
    assert Grade(False, False, False, False).score == 0


def test_garbage_never_raises_and_is_never_good(town: Town) -> None:
    rng = random.Random(0)
    asks = [question.conversation for question in town.questions("asked", 50)]
    alphabet = string.printable + "éßİ\x00\u2028" + "😀"
    for _ in range(2000):
        reply = "".join(rng.choices(alphabet, k=rng.randrange(60)))
        assert not town.grade(rng.choice(asks), reply).good
        assert town.asked(user(reply)) is None or len(reply) < 30
