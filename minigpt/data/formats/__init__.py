"""Corpora: one loader per published file format, and Tinytown, the corpus where every right answer is known."""

from __future__ import annotations

from ..examples import Comparison, Conversation, Document, LabelledText, Prompt, RatedAnswer, Turn
from .labels import LabelCorpus, UnlabelledCorpus
from .loader import CorpusLoader, Parsed
from .messages import LenientMessagesCorpus, MessagesCorpus
from .movie import GuideCorpus, MovieCorpus
from .preferences import ComparisonCorpus, VotesCorpus
from .prompts import PromptCorpus
from .ratings import RatingCorpus
from .script import ScriptCorpus
from .text import StreamCorpus, TextCorpus
from .wiki import WikiCorpus

#: The formats that a recipe may name.
FORMATS: dict[str, type[CorpusLoader]] = {
    "wiki": WikiCorpus,
    "movie": MovieCorpus,
    "guide": GuideCorpus,
    "text": TextCorpus,
    "stream": StreamCorpus,
    "messages": MessagesCorpus,
    "messages-lenient": LenientMessagesCorpus,
    "comparisons": ComparisonCorpus,
    "votes": VotesCorpus,
    "ratings": RatingCorpus,
    "labels": LabelCorpus,
    "unlabelled": UnlabelledCorpus,
    "prompts": PromptCorpus,
    "script": ScriptCorpus,
}

__all__ = [
    "FORMATS",
    "Comparison",
    "ComparisonCorpus",
    "Conversation",
    "CorpusLoader",
    "Document",
    "LabelCorpus",
    "LabelledText",
    "MessagesCorpus",
    "MovieCorpus",
    "Parsed",
    "Prompt",
    "PromptCorpus",
    "RatedAnswer",
    "RatingCorpus",
    "ScriptCorpus",
    "TextCorpus",
    "Turn",
    "VotesCorpus",
    "WikiCorpus",
]
