"""The grader of the script: what the main character was asked, and whether an answer is right and in character."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from .grader import reads_well, words_of
from .people import FIRST_NAMES, PET_NAMES
from .questions import any_of
from .script import AND_YOU, CATCHPHRASES, HOME_AGAIN, LOST, MATTERS, OWN_FACTS, main_character
from .world import TOPICS, World

NAME = re.compile(r"^[A-Z][a-z]+ [A-Z][a-z]+: ", re.MULTILINE)
FIRSTS = any_of(first for group in FIRST_NAMES.values() for first in group)


@dataclass(frozen=True)
class ScriptQuestion:
    """What is asked, in a scene of which `kind`: the right answer has `value`, no other of `values`, and speaks of
    `subject` ("you", "i", a first name, or nobody)."""

    kind: str
    value: str
    values: tuple[str, ...]
    subject: str = ""


@dataclass(frozen=True)
class ScriptGrade:
    """Three marks for one answer."""

    right: bool
    in_character: bool
    fluent: bool

    @property
    def good(self) -> bool:
        return self.right and self.in_character and self.fluent

    @property
    def score(self) -> float:
        """The marks as one number from 0 to 1: to be right counts as much as the other two."""
        return 0.5 * self.right + 0.25 * self.in_character + 0.25 * self.fluent


class ScriptGrader:
    """Marks answers to the lines of a scene, with or without the names in front of them. Never raises.

    - right: the value that the lines or the main character's own facts give, no other value of its kind, and said of
      the right person. Nothing is right where the lines end in no question that the script knows.
    - in character: begins with the catchphrase of this kind of scene.
    - fluent: begins and ends like a sentence, has only words that the main character uses, and repeats nothing.
    """

    def __init__(self, world: World) -> None:
        self.star = main_character(world)
        self.vocabulary = frozenset(words_of(" ".join(_all_answers())))

    def asked(self, lines: str) -> ScriptQuestion | None:
        """What a scene, given as lines, oldest first, ends in."""
        told = nameless(lines).split("\n")
        question, star = told[-1], self.star.first
        for kind, matter in MATTERS.items():
            if len(told) < 3:
                break
            one, two = _found(matter.says_one, told[-3]), _found(matter.says_two, told[-2])
            if one and question == matter.asks_one.format(star=star):
                return ScriptQuestion(kind, one, matter.values, "you")
            name = _found(matter.asks_two.format(star=star, two="{}"), question)
            if two and name:
                return ScriptQuestion(kind, two, matter.values, name.lower())
        for topic, fact in OWN_FACTS.items():
            direct = question.removeprefix(f"{star}, ").lower() == fact.question
            told_theirs = len(told) > 1 and _found(fact.theirs.format("{}", a="{}"), told[-2])
            if direct or (told_theirs and question == AND_YOU.format(star=star)):
                return ScriptQuestion("own", self.star.facts[topic], TOPICS[topic].values)
        pet = _found(LOST, told[-3]) if len(told) > 2 else ""
        return ScriptQuestion("lost pet", pet, PET_NAMES) if pet else None

    def grade(self, lines: str, answer: str) -> ScriptGrade:
        question, text = self.asked(lines), " ".join(answer.split())
        return ScriptGrade(
            right=question is not None and self._is_right(question, text.lower()),
            in_character=question is not None and text.startswith(CATCHPHRASES[question.kind]),
            fluent=reads_well(text, self.vocabulary),
        )

    def _is_right(self, question: ScriptQuestion, text: str) -> bool:
        people = set(FIRSTS.findall(text))
        if question.subject == "you":
            right_person = not people and "you" in words_of(text)
        else:
            right_person = people == ({question.subject} if question.subject else set())
        return right_person and set(_pattern(question.values).findall(text)) == {question.value.lower()}

    def changed(self, lines: str) -> str | None:
        """The same scene with what matters exchanged, so that the right answer is another; None where it lies in the
        main character's own facts."""
        question = self.asked(lines)
        if question is None or question.kind == "own":
            return None
        if question.kind == "lost pet":
            other = PET_NAMES[(PET_NAMES.index(question.value) + 1) % len(PET_NAMES)]
            return lines.replace(question.value, other)
        matter = MATTERS[question.kind]
        *_, first, second, _ = nameless(lines).split("\n")
        values = _found(matter.says_one, first), _found(matter.says_two, second)
        exchanged = dict(zip(values, reversed(values), strict=True))
        return re.sub("|".join(map(re.escape, values)), lambda match: exchanged[match[0]], lines)


def nameless(lines: str) -> str:
    """The lines without the names in front of them."""
    return NAME.sub("", lines)


_pattern = lru_cache(any_of)


def _found(template: str, text: str) -> str:
    """What stands in `text` where `template` has its (first) place to fill; "" if the text is another one."""
    match = re.fullmatch(re.escape(template).replace(r"\{\}", "(.+)"), text)
    return match[1] if match else ""


def _all_answers() -> Iterable[str]:
    """Everything that the main character may say, as words."""
    yield from CATCHPHRASES.values()
    for matter in MATTERS.values():
        yield from (matter.answer_one, matter.answer_two, *matter.values)
    for topic, fact in OWN_FACTS.items():
        yield from (fact.own, *TOPICS[topic].values)
    yield from (HOME_AGAIN, "a", "an", *PET_NAMES)
    for group in FIRST_NAMES.values():
        yield from group
