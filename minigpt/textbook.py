"""The names of a textbook chapter, so that its program runs with only its import lines and paths changed.

The book is 《GPT图解：大模型是怎样构建的》 (Huang Jia, 2023). Its last chapters build a GPT, pre-train it on
WikiText-2 and fine-tune it on film dialogues; a program there reads

    corpus = WikiCorpus(read_data("wiki.train.txt"))
    model = GPT(corpus).to(device)
    Trainer(model, corpus, learning_rate=0.01, epochs=1).train()
    print(model.decode("how are you ?", strategy="beam_search", max_len=50, beam_width=5))

Nothing else in minigpt uses this file.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from .config import ModelConfig, TrainingConfig
from .data import formats
from .data.examples import Turn
from .data.packing import make_rows
from .data.source import read_text
from .data.tokenizer import Tokenizer
from .model import gpt
from .model.beam import beam_search
from .model.chat_model import ChatModel
from .model.generate import stream
from .model.sampling import Sampling
from .training import trainer
from .training.device import detect
from .training.language_modelling import LanguageModelling

#: Every corpus here shares the tokenizer that comes with minigpt, so that a model of one can go on with another.
SHARED_TOKENIZER = Path(__file__).parent / "shared_tokenizer.model"


class _Corpus(formats.CorpusLoader):
    """A corpus that brings its own tokenizer and context."""

    def __init__(
        self,
        examples: list[Any],
        *args: Any,
        tokenizer: Tokenizer | None = None,
        max_seq_len: int = 256,
        **options: Any,
    ) -> None:
        super().__init__(examples, *args, **options)
        self.tokenizer = tokenizer or Tokenizer.load(SHARED_TOKENIZER)
        self.seq_len = max_seq_len
        self.vocab_size = self.tokenizer.vocab_size
        self.idx2word = {token: self.tokenizer.piece(token) for token in range(self.vocab_size)}
        self.vocab = {piece: token for token, piece in self.idx2word.items()}

    def make_batch(self, batch_size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Inputs and targets [batch_size, seq_len] of random rows; targets that do not count are -100."""
        batch = make_rows(self.train, self.tokenizer, self.seq_len).epoch(0, seed).batch(0, batch_size)
        return batch.inputs, batch.targets


class WikiCorpus(_Corpus, formats.WikiCorpus):
    """Articles."""


class MovieCorpus(_Corpus, formats.MovieCorpus):
    """Film dialogues."""


DialogCorpus = MovieCorpus  # the textbook chapter's second name for it


class GPT(gpt.GPT):
    """A model for a corpus: vocabulary, context and tokenizer are the corpus's."""

    def __init__(self, corpus: _Corpus) -> None:
        super().__init__(ModelConfig.from_depth(corpus.vocab_size, corpus.seq_len))
        self.chat = ChatModel(self, corpus.tokenizer)

    def decode(self, input_str: str, strategy: str = "greedy", max_len: int = 50, **options: Any) -> str:
        """The text followed by up to `max_len` new tokens.

        `strategy` is "greedy", "beam_search" (options of `beam_search`) or "sample" (options of `Sampling`). A model
        that has learned to answer answers the text as a user's turn; any other goes on with it. Raises ValueError for
        an unknown strategy and TypeError for an option that the strategy does not have.
        """
        prompt = self.chat.encode([Turn("user", input_str)])
        if strategy == "beam_search":
            ids = beam_search(self, prompt, max_len, stop=self.chat.stop, **options)[0].ids
        elif strategy in ("greedy", "sample"):
            sampling = Sampling(**{"temperature": 0.0, **options} if strategy == "greedy" else options)
            ids = list(stream(self, prompt, max_len, sampling, self.chat.stop))
        else:
            raise ValueError(f"Unknown decoding strategy: {strategy!r}; choose greedy, beam_search or sample")
        return input_str + self.chat.tokenizer.decode(ids)


class Trainer(trainer.Trainer):
    """Trains a model on a corpus; settings of `TrainingConfig` come one by one."""

    def __init__(self, model: GPT, corpus: _Corpus, learning_rate: float = TrainingConfig.lr, **settings: Any) -> None:
        runtime = detect(str(model.device))
        config = replace(TrainingConfig(), lr=learning_rate, **settings)
        objective = LanguageModelling(model.chat, corpus, runtime)
        model.chat = objective.chat
        super().__init__(objective, config, runtime)
        self.lr, self.epochs = config.lr, config.epochs


def read_data(path: str | Path) -> list[Any]:
    """The lines of a text file that are not blank, for `WikiCorpus(...)` or `MovieCorpus(...)`.

    Given the Cornell corpus (its folder, or its movie_lines.txt), the real conversations: that file lists its lines
    in no speaking order, so its neighbours do not answer each other.
    """
    path = Path(path)
    if path.is_dir() or path.name == "movie_lines.txt":
        return formats.MovieCorpus.parse(path).train
    return [line for line in read_text(path).splitlines() if line.strip()]


def remove_input_from_output(input_str: str, output: str) -> str:
    """The new part of what `decode` returned."""
    return output.removeprefix(input_str).lstrip(" ")
