"""minigpt: the whole ChatGPT recipe, from scratch in pure PyTorch."""

from __future__ import annotations

from .config import ModelConfig, TrainingConfig
from .data.examples import Comparison, Conversation, Document, LabelledText, Turn
from .data.formats import CorpusLoader, MessagesCorpus, MovieCorpus, TextCorpus, WikiCorpus
from .data.tokenizer import Tokenizer
from .errors import UserError
from .model.generate import beam_search, decode, generate, remove_input_from_output, stream
from .model.gpt import GPT
from .model.sampling import Sampling
from .pipeline import pipeline
from .textbook import read_data
from .training.trainer import Trainer, TrainingResult

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
