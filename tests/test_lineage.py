"""What a stage starts from: a parent that was trained anew is another model, a copy of it in half the size is not."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from minigpt.lineage import STARTS, changed_during, changed_since, parents_of
from minigpt.recipe import STAGES

PPO = Namespace(init_from="sft", reward="reward")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("sft", "reward"):
        put(tmp_path / name, sha256=name)
    return tmp_path


def put(folder: Path, **card: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "minigpt.json").write_text(json.dumps(card), encoding="utf-8")


def unfinished(folder: Path, origin: str) -> Path:
    folder.mkdir(exist_ok=True)
    metadata = {"fingerprint": json.dumps({"origin": origin}), "counters": "{}"}
    save_file({"model.a": torch.zeros(1)}, folder / "training_state.safetensors", metadata)
    return folder


def test_every_stage_says_what_it_starts_from() -> None:
    assert STARTS.keys() == STAGES.keys()
    names = {stage: [str(p.folder) for p in parents_of(stage, "r", Namespace())] for stage in STAGES}
    assert names["pretrain"] == [] and names["sft"] == [str(Path("trained_models/r/pretrain"))]
    assert names["ppo"] == [str(Path("trained_models/r") / stage) for stage in ("sft", "reward")]


@pytest.mark.parametrize(("card", "other"), [
    ({"parent": "sft", "reward": "reward"}, None),
    ({"parent": "before", "reward": "reward"}, "sft"),
    ({"parent": "sft", "reward": "before"}, "reward"),
    ({"parent": "sft", "reward": "grader"}, "reward"),
    ({"parent": None, "reward": "reward"}, "sft"),
])  # fmt: skip
def test_a_finished_model_knows_its_parents(folders: Path, card: dict, other: str | None) -> None:
    found = changed_since(card, parents_of("ppo", "r", PPO))
    assert (found and found.stage) == other
    origin = "+".join(value or "" for value in card.values() if value != "grader")
    found = changed_during(unfinished(folders / "ppo", origin), parents_of("ppo", "r", PPO))
    assert (found and found.stage) == other


def test_the_grader_is_no_model(folders: Path) -> None:
    grader = parents_of("ppo", "r", Namespace(init_from="sft", reward="grader"))
    assert changed_since({"parent": "sft", "reward": "grader"}, grader) is None
    assert changed_during(unfinished(folders / "ppo", "sft"), grader) is None
    assert str(changed_since({"parent": "sft", "reward": "reward"}, grader)) == "no reward model"


def test_random_weights_are_no_model(folders: Path) -> None:
    scratch = parents_of("sft", "r", Namespace(from_scratch=True, init_from=None))
    assert changed_since({"parent": None}, scratch) is None and changed_since({"parent": "sft"}, scratch)
    assert changed_during(unfinished(folders / "new", ""), scratch) is None


def test_a_smaller_copy_is_the_same_model_and_one_that_is_gone_is_not_another(folders: Path) -> None:
    put(folders / "sft", sha256="half", made_from="sft")
    parents = parents_of("reward", "r", Namespace(init_from="sft"))
    assert changed_since({"parent": "sft"}, parents) is None and changed_since({"parent": "half"}, parents) is None
    assert changed_since({"parent": "sft"}, parents_of("reward", "r", Namespace(init_from="gone"))) is None


def test_a_run_that_cannot_be_read_is_left_to_those_who_resume_it(folders: Path) -> None:
    (folders / "ppo").mkdir()
    (folders / "ppo" / "training_state.safetensors").write_bytes(b"\0" * 40)
    assert changed_during(folders / "ppo", parents_of("ppo", "r", PPO)) is None
