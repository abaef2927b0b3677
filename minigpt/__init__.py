"""minigpt: the whole ChatGPT recipe, from scratch in pure PyTorch."""

from __future__ import annotations

from .config import DPOConfig, ModelConfig, PPOConfig, RewardConfig, TrainingConfig
from .data.examples import Comparison, Conversation, Document, LabelledText, Prompt, RatedAnswer, Turn
from .data.formats import CorpusLoader, MessagesCorpus, MovieCorpus, TextCorpus, WikiCorpus
from .data.tokenizer import Tokenizer
from .errors import UserError
from .model.beam import beam_search
from .model.chat_model import ChatModel
from .model.checkpoint import load_model, save_model
from .model.generate import generate, stream
from .model.gpt import GPT
from .model.responses import Response, respond
from .model.sampling import Sampling
from .pipeline import pipeline
from .training.language_modelling import LanguageModelling
from .training.trainer import Trainer, TrainingResult

__version__ = "0.1.0"

__all__ = [
    "GPT",
    "ChatModel",
    "Comparison",
    "Conversation",
    "CorpusLoader",
    "DPOConfig",
    "Document",
    "LabelledText",
    "LanguageModelling",
    "MessagesCorpus",
    "ModelConfig",
    "MovieCorpus",
    "PPOConfig",
    "Prompt",
    "RatedAnswer",
    "Response",
    "RewardConfig",
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
    "generate",
    "load_model",
    "pipeline",
    "respond",
    "save_model",
    "stream",
]
