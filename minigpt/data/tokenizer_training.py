"""How SentencePiece learns a vocabulary from text, with our control pieces in it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

import sentencepiece

from ..errors import UserError
from .examples import ROLES

PAD, UNK, BOS, EOS = "<pad>", "<unk_piece>", "<|endoftext|>", "<|end|>"
ROLE_PIECES = {role: f"<|{role}|>" for role in ROLES}
#: The pieces that every vocabulary has, whatever the text: 256 bytes and the control pieces.
NOT_LEARNED = 256 + 4 + len(ROLE_PIECES)

#: SentencePiece skips longer lines; a character has at most four bytes.
LONGEST_LINE, CHARACTERS_OF_A_LINE = 1 << 22, 1 << 20


def train_pieces(texts: Iterable[str], vocab_size: int, characters: bool = False) -> bytes:
    """The SentencePiece model of `Tokenizer.train`. Raises UserError if the text and the size do not fit."""
    written = io.BytesIO()
    common: dict[str, Any] = dict(
        model_writer=written,
        pad_id=0, pad_piece=PAD,
        unk_id=1, unk_piece=UNK,
        bos_id=2, bos_piece=BOS,
        eos_id=3, eos_piece=EOS,
        control_symbols=list(ROLE_PIECES.values()),
        # Text comes back exactly as it went in: no normalisation, no dummy space in front, spaces kept as they are.
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        byte_fallback=True,
        split_digits=True,
        user_defined_symbols=["\n"],
        character_coverage=1.0 if characters else 0.9995,
        max_sentence_length=LONGEST_LINE,
        num_threads=1,
        minloglevel=2,
    )  # fmt: skip
    # Line ends separate the sentences that training counts in; as a piece of their own they stay what they are.
    lines = [part for text in texts for line in text.split("\n") for part in short_lines(line)]
    if not lines:
        raise UserError("there is no text to train a tokenizer on; is the corpus empty?")
    if characters:
        alphabet = {c for line in lines for c in line} | {"\n", "\u2581"}
        vocab_size = len(alphabet) + NOT_LEARNED
    if vocab_size <= NOT_LEARNED:
        raise UserError(
            f"a vocabulary of {vocab_size} holds no words: bytes and control pieces alone are {NOT_LEARNED};"
            " set --vocab-size higher."
        )
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_type="char" if characters else "bpe",
            vocab_size=vocab_size,
            **common,
        )
    except RuntimeError as error:
        raise UserError(_explain_training_error(str(error), vocab_size)) from None
    return written.getvalue()


def short_lines(line: str) -> Iterator[str]:
    """A line in parts that SentencePiece takes, cut before a space where there is one: no word changes by that."""
    start = 0
    while len(line) - start > CHARACTERS_OF_A_LINE:
        end = start + CHARACTERS_OF_A_LINE
        stop = line.rfind(" ", start + 1, end)
        stop = stop if stop > 0 else end
        yield line[start:stop]
        start = stop
    if line[start:]:
        yield line[start:]


def _explain_training_error(message: str, vocab_size: int) -> str:
    if match := re.search(r"value <= (\d+)", message):
        return f"the text is too small for a vocabulary of {vocab_size}; set --vocab-size to {match[1]} or less."
    if "required_chars" in message:
        return f"a vocabulary of {vocab_size} cannot hold the characters of this text; set --vocab-size higher."
    return f"SentencePiece could not train a tokenizer: {message.splitlines()[-1]}"
