"""Does a model know grammar? BLiMP asks 67 times 1,000 times which of two sentences is English.

    minigpt corpora fetch blimp
    minigpt evaluate blimp trained_models/movie/pretrain
    minigpt evaluate blimp some/hugging-face/folder --pairs 100

The sentences of a pair differ in one point of grammar ("The cats annoy Tim." and "The cats annoys Tim."). A model is
right where it gives the good one the higher probability, from the mark that starts a document on; equal probabilities
are wrong, so chance is 50 %, and a model that tells nothing apart gets 0 %. The measure needs no prompt and compares
across tokenizers (Warstadt et al. 2020, BLiMP, TACL 8, table 3). The result is written into the folder, as blimp.json,
for the report card.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from .. import cli
from ..data.catalogue import find, get
from ..errors import UserError
from ..files import to_json, write_atomically
from ..model.chat_model import ChatModel
from ..model.checkpoint import load_model
from ..training.device import detect

RESULT = "blimp.json"
BATCH_TOKENS = 8192
NO_TARGET = -100  # what cross_entropy leaves out


@dataclass(frozen=True)
class Pair:
    """Two sentences that differ in one point. `paradigm` is one of the 67 ways to differ (BLiMP's UID), and
    `phenomenon` the point of grammar that it belongs to (its linguistics_term, one of 13)."""

    good: str
    bad: str
    phenomenon: str
    paradigm: str


@dataclass(frozen=True)
class Grammar:
    """Shares of pairs that a model gets right. `accuracy` is the mean over the `paradigms`, as papers give it;
    `phenomena` are means over the paradigms of each; `ties` counts pairs with equal probabilities."""

    accuracy: float
    phenomena: dict[str, float]
    paradigms: dict[str, float]
    pairs: int
    ties: int


def read_pairs(folder: Path, limit: int | None = None) -> list[Pair]:
    """The first `limit` pairs of each file. Raises UserError naming file and line of one that is not as published."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise UserError(f"{folder} holds no .jsonl file; run minigpt corpora fetch blimp.")
    return [pair for file in files for pair in _read_file(file, limit)]


def _read_file(file: Path, limit: int | None) -> list[Pair]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()[:limit]
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8; fetch BLiMP again.") from error
    return [_read_line(line, f"{file}, line {number}") for number, line in enumerate(lines, start=1)]


def _read_line(line: str, place: str) -> Pair:
    names = ("sentence_good", "sentence_bad", "linguistics_term", "UID")
    try:
        row = json.loads(line)
        values = [row[name] for name in names]
        if not all(isinstance(value, str) and value for value in values):
            raise TypeError("each must be text")
    except (ValueError, KeyError, TypeError) as error:
        named = ", ".join(names)
        raise UserError(
            f"{place}: this is no pair of BLiMP ({error}); a line is a JSON object with {named}."
        ) from error
    return Pair(*values)


@torch.no_grad()
def sentence_logprobs(chat: ChatModel, sentences: Sequence[str]) -> list[float]:
    """ln P(sentence), in nats: the sum over its tokens, the first one given the mark that starts a document. Raises
    UserError for a sentence that the context cannot hold."""
    ids = [torch.tensor(chat.tokenizer.encode_document(sentence)) for sentence in sentences]
    longest = max(range(len(ids)), key=lambda i: len(ids[i]), default=0)
    if ids and len(ids[longest]) - 1 > chat.context:
        raise UserError(f"a context of {chat.context} tokens cannot hold this sentence: {sentences[longest]}")
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    totals = [0.0] * len(ids)
    progress = tqdm(total=len(ids), unit="sentence", disable=len(ids) < 2000)
    start = 0
    while start < len(order):
        # Sentences of like length share a batch, so that little of it is padding.
        rows = max(1, BATCH_TOKENS // len(ids[order[min(start + 64, len(order) - 1)]]))
        batch = order[start : start + rows]
        targets = pad_sequence([ids[i] for i in batch], batch_first=True, padding_value=NO_TARGET).to(chat.device)
        logits = chat.gpt(targets[:, :-1].clamp(min=0)).float()
        nats = F.cross_entropy(logits.flatten(0, 1), targets[:, 1:].flatten(), reduction="none")  # 0 where no target is
        for i, value in zip(batch, nats.view(len(batch), -1).sum(1).tolist(), strict=True):
            totals[i] = -value
        start += len(batch)
        progress.update(len(batch))
    progress.close()
    return totals


def compare(chat: ChatModel, pairs: Sequence[Pair]) -> list[float]:
    """By how many nats each good sentence is likelier than the bad one; exactly 0 where they are the same tokens."""
    scores = sentence_logprobs(chat, [sentence for pair in pairs for sentence in (pair.good, pair.bad)])
    same = [chat.tokenizer.encode(pair.good) == chat.tokenizer.encode(pair.bad) for pair in pairs]
    margins = [good - bad for good, bad in zip(scores[::2], scores[1::2], strict=True)]
    return [0.0 if tie else margin for margin, tie in zip(margins, same, strict=True)]


def summarise(pairs: Sequence[Pair], margins: Sequence[float]) -> Grammar:
    right: dict[str, list[bool]] = {}
    for pair, margin in zip(pairs, margins, strict=True):
        right.setdefault(pair.paradigm, []).append(margin > 0)
    paradigms = {name: mean(marks) for name, marks in sorted(right.items())}
    of: dict[str, set[str]] = {}
    for pair in pairs:
        of.setdefault(pair.phenomenon, set()).add(pair.paradigm)
    phenomena = {name: mean(paradigms[p] for p in members) for name, members in sorted(of.items())}
    return Grammar(mean(paradigms.values()), phenomena, paradigms, len(pairs), sum(margin == 0 for margin in margins))


def main() -> None:
    parser = cli.Parser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a trained stage, or any Hugging Face folder that minigpt can read")
    parser.add_argument("--pairs", type=int, help="only the first so many of each file (default all 1,000)")
    parser.add_argument("--all", action="store_true", help="print all 67 paradigms, not only the phenomena")
    cli.add_corpora_flag(parser)
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    if arguments.pairs is not None and arguments.pairs < 1:
        raise UserError("--pairs must be at least 1.")
    place = find("blimp", arguments.corpora_dir)
    pairs = read_pairs(place, arguments.pairs)
    chat = load_model(arguments.folder, detect(arguments.device, arguments.dtype).device)
    result = summarise(pairs, compare(chat, pairs))
    for name, share in (result.paradigms if arguments.all else result.phenomena).items():
        print(f"{name.replace('_', ' '):55} {share:6.1%}")
    print(f"{'BLiMP, mean of ' + str(len(result.paradigms)) + ' paradigms':55} {result.accuracy:6.1%}")
    print(f"{result.pairs:,} pairs, {result.ties:,} of them ties (counted as wrong); chance is 50 %")
    write_atomically(arguments.folder / RESULT, to_json(asdict(result) | {"cite": get("blimp").cite}))
