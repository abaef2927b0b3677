"""Graders: where a recipe's world is invented, a program can say what is asked there and how good an answer is.

A recipe names its grader (`grader = "town"`). The simulated rater, PPO's dashboard, the win rates and the report card
use it to mark answers; the models never see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..data.examples import Prompt, Turn
from ..errors import UserError
from . import Town
from .marks import enough, marks_and_score
from .opinion_grader import VisitGrader
from .script_grader import ScriptGrader
from .summaries import SummaryGrader


class Grader(Protocol):
    """`marks` names what an answer is marked by, each from 0 to 1, the last of them for the whole answer; `columns`
    names the kinds of questions."""

    marks: tuple[str, ...]
    columns: tuple[str, ...]

    def prompts(self, column: str, count: int, seen: set[str], seed: int = 0) -> list[Prompt]:
        """`count` questions whose last turns, in lower case, are not `practised`. Raises UserError for too many."""

    def grade(self, prompt: Sequence[Turn], answer: str) -> dict[str, float]:
        """The marks of an answer, and `score`, from 0 to 1, for a rater or as a reward. Never raises."""


class TownGrader:
    """The facts of Tinytown and its manners. Of held-out residents the dialogues never speak; what is "out_of_town"
    nobody there knows, so that the right answer is to say so."""

    marks: tuple[str, ...] = ("right", "polite", "concise", "fluent", "good")
    columns: tuple[str, ...] = ("asked", "held_out", "out_of_town")

    def __init__(self, town: Town | None = None) -> None:
        self.town = town or Town()

    def prompts(self, column: str, count: int, seen: set[str], seed: int = 0) -> list[Prompt]:
        if column == "out_of_town":
            return [Prompt(q.conversation, q.kind) for q in self.town.out_of_town(count, seed)]
        try:
            drawn = self.town.questions(column, 6 * count, seed)
        except ValueError as error:
            raise UserError(f"{count} questions are too many: {error}.") from None
        fresh = [Prompt(q.conversation, q.resident.name) for q in drawn if q.text.lower() not in seen]
        return enough(fresh, count)

    def grade(self, prompt: Sequence[Turn], answer: str) -> dict[str, float]:
        grade = self.town.grade(prompt, answer)
        return marks_and_score(grade, self.marks)


#: What a recipe may name as its grader.
GRADERS: dict[str, type[Grader]] = {
    "town": TownGrader,
    "summary": SummaryGrader,
    "script": ScriptGrader,
    "visits": VisitGrader,
}
