"""Tinytown: a small invented town where every right answer is known, written in the formats of the real corpora."""

from __future__ import annotations

from .grader import Grade
from .questions import HonestyQuestion, Question
from .speech import QUALITY
from .summaries import SummaryGrade, grade_summary
from .town import Town
from .world import Resident, Subject
from .writers import ensure_corpora, write_corpora

__all__ = [
    "QUALITY",
    "Grade",
    "HonestyQuestion",
    "Question",
    "Resident",
    "Subject",
    "SummaryGrade",
    "Town",
    "ensure_corpora",
    "grade_summary",
    "write_corpora",
]
