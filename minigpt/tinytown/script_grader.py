"""The grader of the script: what the main character was asked, and whether an answer is right and in character."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from ..data.examples import Prompt, Turn
from ..data.formats.script import CONTEXT_LINES
from .marks import enough, marks_and_score
from .people import FIRST_NAMES, PET_NAMES
from .script import (
    AND_YOU,
    CATCHPHRASES,
    HOME_AGAIN,
    LOST,
    MATTERS,
    OWN_FACTS,
    Scene,
    cast,
    draw_scene,
    main_character,
)
from .topics import with_article
from .world import TOPICS, Resident, World

NAME = re.compile(r"^([a-z]+) [a-z]+: ", re.MULTILINE | re.IGNORECASE)
_CATCHPHRASE = re.compile(rf"(?:{'|'.join(map(re.escape, CATCHPHRASES.values()))}) ", re.IGNORECASE)
#: How often a scene is drawn for each that is wanted, before there are said to be too few.
DRAWS = 100


@dataclass(frozen=True)
class ScriptQuestion:
    """What is asked, in a scene of which `kind`: the right answer says `sentence`, and of `values` only `value`."""

    kind: str
    sentence: str
    value: str
    values: tuple[str, ...]


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


class SceneGrader:
    """Marks answers to the lines of a scene. Never raises.

    - right: the sentence that the lines or the main character's own facts ask for, after a catchphrase or none, and
      nothing else. Nothing is right where the lines end in no question that the script knows.
    - in character: begins with the catchphrase of this kind of scene.
    - fluent: a sentence that the main character may say, after a catchphrase or none.
    """

    def __init__(self, world: World) -> None:
        self.star = main_character(world)

    def lines(self, turns: Sequence[Turn]) -> str:
        """A chat as lines, the main character's by name."""
        return "\n".join(turn.text if turn.role == "user" else f"{self.star.name}: {turn.text}" for turn in turns)

    def asked(self, lines: str) -> ScriptQuestion | None:
        """What a scene, given as lines, oldest first, ends in."""
        told = nameless(lines).split("\n")
        question, star = told[-1], self.star.first
        for kind in MATTERS:
            if found := self.matter(kind, lines.split("\n")[-3:]):
                return found
        for topic, fact in OWN_FACTS.items():
            direct = question.removeprefix(f"{star}, ").lower() == fact.question
            told_theirs = len(told) > 1 and _found(fact.theirs.format("{}", a="{}"), told[-2])
            if direct or (told_theirs and question == AND_YOU.format(star=star)):
                value = self.star.facts[topic]
                return ScriptQuestion("own", fact.own.format(value, a=with_article(value)), value, TOPICS[topic].values)
        pet = _found(LOST, told[-3]) if len(told) > 2 else ""
        return ScriptQuestion("lost pet", HOME_AGAIN.format(pet), pet, PET_NAMES) if pet else None

    def matter(self, kind: str, lines: Sequence[str]) -> ScriptQuestion | None:
        """What the last lines, at most three, say of a matter and ask about it."""
        matter, told, star = MATTERS[kind], [nameless(line) for line in lines], self.star.first
        if value := _found(matter.says_one, told[-1]):
            return ScriptQuestion(kind, matter.likes.format(value), value, matter.values)
        own = told[-1] == matter.asks_own.format(star=star)
        said = _found(matter.says_one, told[0]) if len(lines) == 3 else ""
        if not said:
            return None
        if own and lines[1].startswith(f"{self.star.name}: "):
            return ScriptQuestion(kind, matter.answer_own.format(said), said, matter.values)
        one, two, asker = (NAME.match(line) for line in lines)
        if not (one and two and asker):
            return None
        values = {one[1].lower(): said, two[1].lower(): _found(matter.says_two, told[1])}
        meant = asker[1] if own else _found(matter.asks_other.format(star=star, name="{}"), told[-1])
        value = values.get(meant.lower(), "")
        answer = matter.answer_own if own else matter.answer_other
        return ScriptQuestion(kind, answer.format(value, name=meant), value, matter.values) if value else None

    def grade(self, lines: str, answer: str) -> ScriptGrade:
        question, text = self.asked(lines), " ".join(answer.split())
        begun = _CATCHPHRASE.match(text)
        said = text[begun.end() :] if begun else text
        after_comma = begun is not None and begun[0].endswith(", ")
        return ScriptGrade(
            right=question is not None and said.lower() == question.sentence.lower(),
            in_character=question is not None and text.startswith(CATCHPHRASES[question.kind]),
            fluent=text[:1].isupper()
            and bool(_answer().fullmatch(said[:1].upper() + said[1:]))
            and (after_comma or said[:1].isupper()),
        )

    def changed(self, lines: str) -> str | None:
        """The same scene with what matters exchanged, so that the right answer is another; None where it lies in the
        main character's own facts."""
        question = self.asked(lines)
        if question is None or question.kind == "own":
            return None
        matter = MATTERS.get(question.kind)
        told = nameless(lines).split("\n")[-3:]
        values = (_found(matter.says_one, told[0]), _found(matter.says_two, told[1])) if matter and told[2:] else ()
        if not values or not all(values):  # one value alone gives way to the next of its kind
            other = question.values[(question.values.index(question.value) + 1) % len(question.values)]
            return re.sub(rf"\b{re.escape(question.value)}\b", other, lines)
        exchanged = dict(zip(values, reversed(values), strict=True))
        return re.sub("|".join(map(re.escape, values)), lambda match: exchanged[match[0]], lines)


class ScriptGrader:
    """Scenes that nobody has written yet. `lines`: the answer stands in the lines of two regulars; `changed`: the same
    scenes with what matters exchanged; `strangers`: two residents speak who never appear in the script; `own`: the
    answer is a fact of the main character's."""

    marks: tuple[str, ...] = ("right", "in_character", "fluent", "good")
    columns: tuple[str, ...] = ("lines", "changed", "strangers", "own")

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.scenes = SceneGrader(self.world)

    def prompts(self, column: str, count: int, seen: set[str], seed: int = 0) -> list[Prompt]:
        rng = self.world.stream(f"scenes/{'lines' if column == 'changed' else column}/{seed}")
        others = cast(self.world)[column == "strangers"]
        known = {nameless(lines.lower()) for lines in seen}
        found: list[Prompt] = []
        for _ in range(DRAWS * count):
            scene = draw_scene(self.scenes.star, others, rng)
            lines = asking_lines(scene, self.scenes.star)
            if column == "changed":
                lines = self.scenes.changed(lines) or lines
            words = nameless(lines.lower())
            if (scene.kind == "own") == (column == "own") and words not in known:
                known.add(words)
                found.append(Prompt((Turn("user", lines),), words))
                if len(found) == count:
                    break
        return enough(found, count, "scenes")

    def grade(self, prompt: Sequence[Turn], answer: str) -> dict[str, float]:
        return marks_and_score(self.scenes.grade(self.scenes.lines(prompt), answer), self.marks)


def asking_lines(scene: Scene, star: Resident) -> str:
    """What the main character hears: the last lines before it speaks for the first time."""
    end = [line.speaker for line in scene.lines].index(star)
    return "\n".join(f"{line.speaker.name}: {line.words}" for line in scene.lines[max(0, end - CONTEXT_LINES) : end])


def nameless(lines: str) -> str:
    """The lines without the names in front of them."""
    return NAME.sub("", lines)


def _found(template: str, text: str) -> str:
    """What stands in `text` where `template` has its (first) place to fill; "" if the text is another one."""
    match = re.fullmatch(re.escape(template).replace(r"\{\}", "(.+)"), text)
    return match[1] if match else ""


@cache
def _answer() -> re.Pattern[str]:
    """Every sentence that the main character may say, whether it is right or wrong."""
    name = _any(first for group in FIRST_NAMES.values() for first in group)
    said = [HOME_AGAIN.format(_any(PET_NAMES))]
    for matter in MATTERS.values():
        templates = (matter.answer_own, matter.answer_other, matter.likes)
        said += [template.format(_any(matter.values), name=name) for template in templates]
    for topic, fact in OWN_FACTS.items():
        values = TOPICS[topic].values
        said.append(fact.own.format(_any(values), a=_any(map(with_article, values))))
    return re.compile("|".join(said).replace(".", r"\."))


def _any(choices: Iterable[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, choices))})"
