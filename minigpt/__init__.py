"""minigpt: the whole ChatGPT recipe, from scratch in pure PyTorch."""

from __future__ import annotations

from .config import ModelConfig, TrainingConfig
from .corpus import CorpusLoader, MessagesCorpus, MovieCorpus, TextCorpus, WikiCorpus
from .corpus.chapter import read_data
from .decode import beam_search, decode, generate, remove_input_from_output, stream
from .errors import UserError
from .examples import Comparison, Conversation, Document, LabelledText, Turn
from .model import GPT
from .pipeline import pipeline
from .sampling import Sampling
from .tokenizer import Tokenizer
from .trainer import Trainer, TrainingResult

DialogCorpus = MovieCorpus  # the chapter's second name for it

__version__ = "0.1.0"

__all__ = [
    "GPT",
    "Comparison",
    "Conversation",
    "CorpusLoader",
    "DialogCorpus",
    "Document",
    "LabelledText",
    "MessagesCorpus",
    "ModelConfig",
    "MovieCorpus",
    "Sampling",
    "TextCorpus",
    "Tokenizer",
    "Trainer",
    "TrainingConfig",
    "TrainingResult",
    "Turn",
    "UserError",
    "WikiCorpus",
    "beam_search",
    "decode",
    "generate",
    "pipeline",
    "read_data",
    "remove_input_from_output",
    "stream",
]
