"""Corpora: one loader per published file format, and Tinytown, the corpus whose truth is known."""

from __future__ import annotations

from ..examples import Comparison, Conversation, Document, LabelledText, Turn
from .loader import CorpusLoader, Parsed
from .messages import LenientMessagesCorpus, MessagesCorpus
from .movie import GuideCorpus, MovieCorpus
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
}

__all__ = [
    "FORMATS",
    "Comparison",
    "Conversation",
    "CorpusLoader",
    "Document",
    "LabelledText",
    "MessagesCorpus",
    "MovieCorpus",
    "Parsed",
    "TextCorpus",
    "Turn",
    "WikiCorpus",
]
