"""Tokenizer: SentencePiece pieces and the chat template. No other file knows how a conversation is written down.

A conversation becomes

    <|endoftext|><|user|> How are you?<|end|><|assistant|> Fine, thank you.<|end|>

It begins as every document does, and the space makes the first word of a turn the same piece that it is in the middle
of a text: fine-tuning should not have to learn these anew. The marks are control pieces: SentencePiece never produces
them from text, so nothing that a user types can end a turn or open another role.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import sentencepiece

from ..errors import UserError
from .tokenizer_training import BOS, EOS, PAD, ROLE_PIECES, train_pieces

if TYPE_CHECKING:
    from .examples import Turn


LARGEST_MODEL = 256 << 20  # bytes; a model of a million pieces takes a tenth of that

#: The chat template once more, for Hugging Face's `apply_chat_template`.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|> ' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


class Tokenizer:
    """A trained SentencePiece model and the ids of its control pieces.

    `bos` starts a document of the pre-training text, `eos` ends a turn, `pad` fills rows and is never predicted.
    """

    def __init__(self, model: bytes, source: str = "tokenizer.model") -> None:
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
            ids = {piece: self._pieces.piece_to_id(piece) for piece in (PAD, BOS, EOS, *ROLE_PIECES.values())}
            missing = [piece for piece, i in ids.items() if self._pieces.id_to_piece(i) != piece]
        except (RuntimeError, IndexError):  # an empty file, or one that was cut off, only shows itself in use
            raise UserError(
                f"{source} is not a SentencePiece model; name the folder that run_pretrain.py wrote."
            ) from None
        self.model = model
        if missing:
            raise UserError(
                f"{source} lacks the control pieces {', '.join(missing)}; train it with minigpt's Tokenizer.train."
            )
        self.pad, self.bos, self.eos = ids[PAD], ids[BOS], ids[EOS]
        self.roles = {role: ids[piece] for role, piece in ROLE_PIECES.items()}

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, *, characters: bool = False) -> Tokenizer:
        """Learn `vocab_size` pieces from `texts` by byte-pair encoding; unseen characters fall back to bytes.

        With `characters`, every character that occurs is a piece of its own (line ends too) and `vocab_size`
        is ignored. Training is deterministic.
        """
        return cls(train_pieces(texts, vocab_size, characters))

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read a `tokenizer.model` file, or the one in a model folder."""
        path = Path(path)
        path = path / "tokenizer.model" if path.is_dir() else path
        if not path.is_file():
            raise UserError(f"{path} does not exist; a model folder holds its tokenizer under that name.")
        if path.stat().st_size > LARGEST_MODEL:
            raise UserError(f"{path} is larger than {LARGEST_MODEL >> 20} MB; that is no SentencePiece model.")
        return cls(path.read_bytes(), source=str(path))

    @property
    def vocab_size(self) -> int:
        return self._pieces.vocab_size()

    def encode(self, text: str) -> list[int]:
        """Text to ids. Control pieces never come out of it, whatever the text says."""
        return self._pieces.encode(text)

    def encode_document(self, text: str) -> list[int]:
        """A text, or the beginning of one, as pre-training reads it: after the piece that starts a document."""
        return [self.bos, *self.encode(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """Ids to text; control pieces vanish, broken UTF-8 shows as U+FFFD."""
        return self._pieces.decode(list(ids))

    def piece(self, token: int) -> str:
        """How one token is written in the vocabulary, for tables and pictures."""
        return self._pieces.id_to_piece(token)

    def is_control(self, token: int) -> bool:
        return self._pieces.is_control(token) or self._pieces.is_unknown(token)

    def is_learned(self, token: int) -> bool:
        """Whether the piece was learned from text: not a control piece, and not one of the 256 bytes."""
        return not (self.is_control(token) or self._pieces.is_byte(token))

    def score(self, token: int) -> float:
        """How early byte-pair encoding learned this piece: the higher, the sooner two neighbours are joined to it."""
        return self._pieces.get_score(token)

    # The chat template.

    def encode_chat(self, turns: Sequence[Turn]) -> tuple[list[int], list[bool]]:
        """A conversation's ids, and for each id whether the assistant has to learn it.

        Learned are the assistant's words and the `eos` that ends its turn; the role mark in front of them is given.
        """
        ids, learn = [self.bos], [False]
        for turn in turns:
            words = [*self.encode(f" {turn.text}"), self.eos]
            ids += [self.roles[turn.role], *words]
            learn += [False] + [turn.role == "assistant"] * len(words)
        return ids, learn

    def encode_prompt(self, turns: Sequence[Turn]) -> list[int]:
        """A conversation so far, and the mark that asks the assistant to speak."""
        return [*self.encode_chat(turns)[0], self.roles["assistant"]]

    def fingerprint(self) -> str:
        """The same for two tokenizers that map the same text to the same ids."""
        return hashlib.sha256(self.model).hexdigest()[:16]


class TextStream:
    """Turns a stream of tokens into a stream of text that never holds half a character.

    The pieces of `feed` and the last one of `flush`, joined, equal `tokenizer.decode` of all the tokens.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.ids: list[int] = []
        self.shown = 0

    def feed(self, token: int) -> str:
        """The text that this token completes; empty while the bytes of a character are still missing."""
        self.ids.append(token)
        text = self.tokenizer.decode(self.ids)
        # A character of several bytes shows as U+FFFD until its last byte is there.
        ready = len(text.rstrip("\ufffd"))
        return self._advance(text, ready)

    def flush(self) -> str:
        """What is left at the end, finished or not."""
        text = self.tokenizer.decode(self.ids)
        return self._advance(text, len(text))

    def _advance(self, text: str, ready: int) -> str:
        new = text[self.shown : ready]
        self.shown = max(self.shown, ready)
        return new
