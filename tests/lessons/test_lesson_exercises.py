"""Exercises accept right answers only: the stub fails, the solution passes, each wrong answer has its own sentence."""

from __future__ import annotations

import inspect
import json
import random
import sys

import pytest

from lessons import check
from lessons.expect import Wrong, expect
from lessons.fences import HERE, lesson_paths

NUMBERS = [path.name[:2] for path in lesson_paths()]
SEEDS = range(5)
each_lesson = pytest.mark.parametrize("number", NUMBERS)


def wrong_answers(number: str) -> list[tuple[str, str]]:
    """(exercise, name of the wrong answer) of each function EXERCISE__mistake."""
    names = vars(check.load(HERE / "wrong" / f"{number}.py"))
    return [(name.split("__")[0], name) for name in names if "__" in name.strip("_")]


@each_lesson
def test_the_stub_fails_every_exercise(number):
    stub = HERE / "exercises" / f"{number}.py"
    verdicts = check.check_file(number, stub, 0)
    assert verdicts and set(verdicts.values()) == {"not written yet"}
    for name in verdicts:
        assert inspect.getdoc(getattr(check.load(stub), name)), f"{name} says nothing about what to do"


@each_lesson
@pytest.mark.parametrize("seed", SEEDS)
def test_the_solution_passes(number, seed):
    verdicts = check.check_file(number, HERE / "solutions" / f"{number}.py", seed)
    assert not any(verdicts.values()), verdicts


@pytest.mark.parametrize(("number", "exercise", "name"), [(n, *wrong) for n in NUMBERS for wrong in wrong_answers(n)])
def test_each_wrong_answer_fails_with_its_own_sentence(number, exercise, name):
    answer = getattr(check.load(HERE / "wrong" / f"{number}.py"), name)
    for seed in SEEDS:
        problem = check.verdict(check.exercises(number)[exercise], answer, seed)
        assert answer.__doc__ in problem, problem
        assert "expected" in problem and "got" in problem and "input" in problem


@each_lesson
def test_every_exercise_has_wrong_answers_with_sentences_of_their_own(number):
    module = check.load(HERE / "wrong" / f"{number}.py")
    wrong = wrong_answers(number)
    for exercise in check.exercises(number):
        sentences = [getattr(module, name).__doc__ for of, name in wrong if of == exercise]
        assert 2 <= len(sentences) <= 4 and len(set(sentences)) == len(sentences), exercise
    assert {of for of, _ in wrong} == set(check.exercises(number))


@each_lesson
def test_every_exercise_has_three_hints_in_both_languages(number):
    hints = check.hints(number)
    assert set(hints) == set(check.exercises(number))
    for levels in hints.values():
        assert len(levels) == 3 and all(level["en"] and level["zh"] for level in levels)


@each_lesson
def test_the_quiz_has_five_questions_and_a_reason_for_every_wrong_choice(number):
    questions = json.loads((HERE / "quiz" / f"{number}.json").read_text(encoding="utf-8"))
    assert len(questions) == 5
    for question in questions:
        choices = question["choices"]
        assert 3 <= len(choices) <= 5 and sum(choice.get("right", False) for choice in choices) == 1
        for language in ("en", "zh"):
            assert question["question"][language]
            assert len({choice[language] for choice in choices}) == len(choices)
            assert all(choice.get("right") or choice["why"][language] for choice in choices)


# The checker itself.


def test_expect_says_what_was_expected_and_got_and_for_which_input():
    with pytest.raises(Wrong) as caught:
        expect([1.0, 2.5], [1.0, 2.0], {"x": 3}, "the second is too large", 0.1)
    for part in ("the second is too large", "{'x': 3}", "[1.0, 2.0]", "[1.0, 2.5]"):
        assert part in str(caught.value)
    expect([1.0, 2.05], [1.0, 2.0], None, "", 0.1)
    for got in (None, [1.0], [1.0, 2.0, 3.0], [1.0, float("nan")], "12"):
        with pytest.raises(Wrong):
            expect(got, [1.0, 2.0], None, "no", 0.1)


def test_an_answer_that_breaks_is_told_its_line():
    def answer(x: int) -> float:
        return x / 0

    problem = check.verdict(lambda answer, rng: expect(answer(3), 1, 3, "no"), answer, 0)
    assert problem.startswith("ZeroDivisionError") and "test_lesson_exercises.py" in problem
    assert "no function" in check.verdict(lambda *_: None, None, 0)


def test_a_reader_gets_the_exercises_then_verdicts_then_hints(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(check, "ANSWERS", tmp_path / "answers")

    def say(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["check", *words])
        return check.main(), capsys.readouterr().out

    code, said = say("00")
    assert code == 1 and "write your answers there" in said
    code, said = say("0")
    assert code == 1 and "- with_temperature: not written yet" in said and "--hint" in said
    first = check.hints("00")["with_temperature"]
    code, said = say("00", "--hint", "2", "--zh")
    assert first[0]["zh"] in said and first[1]["zh"] in said and first[2]["zh"] not in said
    solution = (HERE / "solutions/00.py").read_text(encoding="utf-8")
    (tmp_path / "answers/00.py").write_text(solution, encoding="utf-8")
    code, said = say("00")
    assert code == 0 and "+ with_temperature: right" in said
    assert say("99")[0] == 2
    (tmp_path / "answers/00.py").write_text("def with_temperature(:\n", encoding="utf-8")
    assert say("00") == (2, "")


def test_the_quiz_explains_a_wrong_choice(monkeypatch, capsys):
    monkeypatch.setattr(random, "sample", lambda population, k: list(population)[:k])
    monkeypatch.setattr("builtins.input", lambda _: "b")
    assert check.quiz("00", "zh") == 1
    questions = json.loads((HERE / "quiz/00.json").read_text(encoding="utf-8"))
    assert questions[0]["choices"][1]["why"]["zh"] in capsys.readouterr().out
    monkeypatch.setattr("builtins.input", lambda _: "")
    assert check.quiz("00", "en") == 1
    monkeypatch.setattr("builtins.input", lambda _: "a")
    assert check.quiz("00", "en") == int(not all(question["choices"][0].get("right") for question in questions))
