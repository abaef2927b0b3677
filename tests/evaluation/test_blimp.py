"""BLiMP: the same verdicts as an independent calculation, ties counted as wrong, files read strictly."""

from __future__ import annotations

import json
import math
import random
import sys
from pathlib import Path

import pytest
import torch
from helpers.docs import ROOT

from minigpt.data.catalogue import get
from minigpt.errors import UserError
from minigpt.evaluation import blimp
from minigpt.evaluation.blimp import Pair, compare, read_pairs, sentence_logprobs, summarise
from minigpt.evaluation.report.plots import charts
from minigpt.model.checkpoint import load_model

SHIPPED = ROOT / "trained_models/shipped/pretrain"
WORDS = "the a cat cats dog annoy annoys Tim lives on Maple Street who every no of house not ever ."


def sentences(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS.split(), k=rng.randint(1, 14))) for _ in range(count)]


def some_pairs(count: int, seed: int = 0) -> list[Pair]:
    texts = sentences(2 * count, seed)
    return [Pair(a, b, "agreement", "agreement_1") for a, b in zip(texts[::2], texts[1::2], strict=True)]


def write(folder: Path, name: str, rows: list[object]) -> None:
    folder.mkdir(exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")


def row_of(good: str, bad: str, uid: str = "anaphor_1", term: str = "anaphor_agreement") -> dict[str, str]:
    return {"sentence_good": good, "sentence_bad": bad, "linguistics_term": term, "UID": uid, "pairID": "0"}


def test_every_verdict_is_that_of_transformers():
    """One sentence at a time, no padding, with another library's model and tokenizer."""
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(SHIPPED, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(SHIPPED)

    def log_probability(text: str) -> float:
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer.encode(text, add_special_tokens=False)]])
        with torch.no_grad():
            return -theirs(ids, labels=ids).loss.item() * (ids.size(1) - 1)

    pairs = some_pairs(100)
    chat = load_model(SHIPPED)
    margins = compare(chat, pairs)
    wanted = [log_probability(pair.good) - log_probability(pair.bad) for pair in pairs]
    assert margins == pytest.approx(wanted, abs=2e-3)
    assert 10 < sum(margin > 0 for margin in margins) < 90


def test_a_sentence_scores_alone_as_in_a_batch_of_any_size(monkeypatch):
    chat, texts = load_model(SHIPPED), sentences(60, seed=1)
    together = sentence_logprobs(chat, texts)
    monkeypatch.setattr(blimp, "BATCH_TOKENS", 1)
    assert sentence_logprobs(chat, texts) == pytest.approx(together, abs=1e-3)
    assert sentence_logprobs(chat, []) == []


def test_the_first_token_counts_too():
    chat = load_model(SHIPPED)
    short, long = sentence_logprobs(chat, ["The", "The park"])
    assert short > long and short < -1e-6
    every = [chat.tokenizer.piece(i) for i in range(400, chat.tokenizer.vocab_size)]
    words = [piece.replace("\u2581", "") for piece in every if piece.startswith("\u2581") and piece[1:].isalpha()]
    one_piece = [word for word in words if len(chat.tokenizer.encode(word)) == 1]
    assert len(one_piece) > 100
    assert sum(map(math.exp, sentence_logprobs(chat, one_piece))) <= 1 + 1e-4


def test_equal_sentences_are_a_tie_and_ties_are_wrong():
    chat = load_model(SHIPPED)
    pairs = [*some_pairs(20), *(Pair(text, text, "ellipsis", "ellipsis_1") for text in sentences(5, seed=2))]
    result = summarise(pairs, compare(chat, pairs))
    assert result.ties == 5 and result.paradigms["ellipsis_1"] == 0 and result.pairs == 25
    assert summarise(pairs, [0.0] * 25).accuracy == 0


def test_the_overall_figure_is_the_mean_of_the_paradigms():
    pairs = [Pair("a", "b", "x", "x_1")] * 4 + [Pair("a", "b", "x", "x_2")] * 2 + [Pair("a", "b", "y", "y_1")] * 2
    result = summarise(pairs, [1, 1, 1, -1, -1, -1, 2, 3])
    assert result.paradigms == {"x_1": 0.75, "x_2": 0.0, "y_1": 1.0}
    assert result.phenomena == {"x": 0.375, "y": 1.0}
    assert result.accuracy == pytest.approx(1.75 / 3)


def test_a_sentence_longer_than_the_context_is_named():
    chat = load_model(SHIPPED)
    with pytest.raises(UserError, match="cannot hold this sentence: cat cat"):
        sentence_logprobs(chat, ["cat " * 600])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"sentence_good": "A."}', "sentence_bad"),
        ("[1]", "list indices"),
        ("{", "Expecting"),
        (json.dumps(row_of("A.", "")), "each must be text"),
        (json.dumps(row_of("A.", "B.") | {"UID": 3}), "each must be text"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, line, why):
    (tmp_path / "a.jsonl").write_text(json.dumps(row_of("A.", "B.")) + f"\n{line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"a\.jsonl, line 2: .*{why}"):
        read_pairs(tmp_path)
    assert len(read_pairs(tmp_path, limit=1)) == 1


def test_an_empty_folder_and_other_bytes_are_named(tmp_path):
    with pytest.raises(UserError, match="corpora fetch blimp"):
        read_pairs(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(b"\xff\xfe{}")
    with pytest.raises(UserError, match="not UTF-8"):
        read_pairs(tmp_path)


def test_the_command_prints_phenomena_and_leaves_the_result_for_the_report(tmp_path, monkeypatch, capsys):
    corpora, model = tmp_path / "corpora", tmp_path / "model"
    for name in get("blimp").source[0].names:
        uid = name.removesuffix(".jsonl")
        write_to = corpora / "blimp"
        write_to.mkdir(parents=True, exist_ok=True)
        rows = [row_of("The park is quiet.", "park The quiet is.", uid, uid.split("_")[0]) for _ in range(3)]
        write(write_to, uid, list(rows))
    model.mkdir()
    for file in SHIPPED.iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    words = ["minigpt evaluate blimp", str(model), "--pairs", "2", "--corpora-dir", str(corpora), "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", words)
    blimp.main()
    said = capsys.readouterr().out
    assert "mean of 67 paradigms" in said and "134 pairs" in said and "100.0%" in said
    result = json.loads((model / "blimp.json").read_text(encoding="utf-8"))
    assert result["accuracy"] == 1 and len(result["paradigms"]) == 67
    (chart,) = charts({"stages": {}, "grammar": {"pretrain": result}}, {})["grammar"]
    assert "determiner 100.0%" in chart.svg and chart.title == "Pre-training"
