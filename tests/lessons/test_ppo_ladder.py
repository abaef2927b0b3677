"""The four scripts of lesson 11: they write the figures committed beside them, and little lies between them."""

from __future__ import annotations

import csv
import difflib
import itertools
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

LADDER = Path(__file__).parents[2] / "lessons" / "ppo_ladder"
SCRIPTS = sorted(LADDER.glob("*.py"))


def table(path: Path) -> tuple[list[str], list[list[float]]]:
    header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    return header, [[float(value) for value in row] for row in rows]


def train(number: int):
    return runpy.run_path(str(SCRIPTS[number - 1]))["train"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_writes_the_figures_that_are_committed(script, tmp_path):
    shutil.copy(script, tmp_path)
    subprocess.run([sys.executable, script.name], cwd=tmp_path, check=True)
    header, rows = table(tmp_path / f"{script.stem}.csv")
    committed_header, committed = table(script.with_suffix(".csv"))
    assert header == committed_header and len(rows) == len(committed) == 60
    for row, expected in zip(rows, committed, strict=True):
        assert row == pytest.approx(expected, abs=0.01)


def test_little_lies_between_one_script_and_the_next():
    assert [script.stem for script in SCRIPTS] == ["1_reinforce", "2_baseline", "3_clip", "4_kl"]
    texts = [script.read_text(encoding="utf-8").splitlines() for script in SCRIPTS]
    assert all(len(text) <= 55 for text in texts)
    for before, after in itertools.pairwise(texts):
        changed = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
        assert 2 <= len(changed) <= 16


def test_each_script_does_what_it_adds():
    reward, kl, _, ending = range(4)
    finals = [rows[-1] for _, rows in map(table, (script.with_suffix(".csv") for script in SCRIPTS))]
    tenth = [rows[10] for _, rows in map(table, (script.with_suffix(".csv") for script in SCRIPTS))]
    assert finals[1][reward] > finals[0][reward] + 0.2, "a baseline learns faster"
    assert tenth[2][reward] > tenth[1][reward] + 0.3, "four passes over the same answers learn faster than one"
    assert finals[2][ending] > 0.9 and finals[3][ending] < 0.5, "a price of KL keeps several courtesies"
    assert finals[3][kl] < finals[2][kl] - 1


def test_the_price_of_kl_leads_where_the_formula_says():
    """The policy that earns most after its price is the reference times e^(reward / kl_coef)."""
    paid = torch.tensor([0.55, 0.5, 0.5, 0, 0, 0, 0, 0])
    for kl_coef in (0.13, 0.3):
        best = (paid / kl_coef).softmax(-1)[0]
        ends = [train(4)(seed, kl_coef=kl_coef)[-1][3] for seed in range(6)]
        assert sum(ends) / 6 == pytest.approx(float(best), abs=0.08)
