"""Model folders that are not what they say: one sentence with file and field, and no memory taken for a lie."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.models import make_chat, make_model
from safetensors.torch import load_file, save_file

from minigpt import UserError
from minigpt.alignment.policy import Policy, load_value_head, save_value_head
from minigpt.alignment.reward_model import RewardModel, load_reward_model, save_reward_model
from minigpt.model.checkpoint import check_folder, load_model, read_card, save_model
from minigpt.model.gpt import GPT

WEIGHTS, CARD, CONFIG = "model.safetensors", "minigpt.json", "config.json"


@pytest.fixture(scope="module")
def sound(tmp_path_factory, tokenizer) -> Path:
    """A sound policy, reward model and GPT-2, to be copied and broken."""
    home = tmp_path_factory.mktemp("sound")
    chat = make_chat(tokenizer, context=48)
    save_model(home / "policy", chat, {"stage": "ppo", "finished": True})
    save_value_head(home / "policy", Policy(chat))
    save_reward_model(home / "reward", RewardModel(chat, likelihood_penalty=2.0), {"stage": "reward"})
    save_model(home / "gpt2", make_chat(tokenizer, architecture="gpt2", context=48), {"stage": "sft"})
    return home


@pytest.fixture
def broken(tmp_path, sound, monkeypatch):
    """Copies of the sound ones. A model is built only for real, or of the size of this one, so that a test of a lie
    about sizes fails instead of taking all memory."""
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    build = GPT.__init__

    def guarded(self, config):
        assert max(config.hidden_size, config.num_hidden_layers, config.max_position_embeddings) < 10_000
        build(self, config)

    monkeypatch.setattr(GPT, "__init__", guarded)
    return tmp_path


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(content), encoding="utf-8")


def change_weights(folder: Path, change) -> None:
    """Change the tensors, and let the card vouch for nothing."""
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    edit(folder / CARD, sha256=None)


def refused(folder: Path, words: str) -> None:
    for read in (check_folder, load_model):
        with pytest.raises(UserError, match=words) as caught:
            read(folder)
        assert str(caught.value).count("\n") == 0


def test_sound_folders_are_read(broken):
    for name in ("policy", "reward", "gpt2"):
        card, config = check_folder(broken / name)
        assert card["sha256"] and config.max_position_embeddings == 48
    assert load_reward_model(broken / "reward").gate is not None


@pytest.mark.parametrize("file", [CONFIG, CARD])
@pytest.mark.parametrize("content", ["[]", "null", "1", "", "{", "[" * 100_000, '{"a": ' + "9" * 5000 + "}",
                                     '{"a": ' + "[" * 150 + "]" * 150 + "}", '{"stage": "\\ud800"}'])  # fmt: skip
def test_a_file_that_is_no_object_is_named(broken, file, content):
    (broken / "policy" / file).write_text(content, encoding="utf-8")
    refused(broken / "policy", file.replace(".", r"\."))


@pytest.mark.parametrize("name", ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                                  "head_dim", "intermediate_size", "vocab_size", "max_position_embeddings",
                                  "rope_theta", "rms_norm_eps"])  # fmt: skip
@pytest.mark.parametrize("value", [[], {}, "x", True, 0, -1, 1e29, 10**29, float("nan"), float("inf")])
def test_numbers_of_the_wrong_type_or_range_are_named_by_file_and_field(broken, name, value):
    edit(broken / "policy" / CONFIG, **{name: value})
    refused(broken / "policy", rf"config\.json: {name} is ")


@pytest.mark.parametrize("name", ["n_embd", "n_layer", "n_head", "n_inner", "n_positions", "layer_norm_epsilon"])
@pytest.mark.parametrize("value", [[], "x", True, 0, 1e29, float("nan")])
def test_gpt2s_numbers_too(broken, name, value):
    edit(broken / "gpt2" / CONFIG, **{name: value})
    refused(broken / "gpt2", rf"config\.json: {name} is ")


@pytest.mark.parametrize(("kind", "changes"), [
    ("policy", {"num_hidden_layers": 4000}),
    ("policy", {"num_hidden_layers": 1}),
    ("policy", {"hidden_size": 200_000}),
    ("policy", {"intermediate_size": 1_000_000}),
    ("policy", {"vocab_size": 16_000_000}),
    ("policy", {"num_attention_heads": 16_000, "num_key_value_heads": 16_000}),
    ("policy", {"head_dim": 16_000}),
    ("gpt2", {"n_positions": 16_000_000}),
    ("gpt2", {"n_layer": 4000}),
    ("gpt2", {"n_inner": 1_000_000}),
])  # fmt: skip
def test_sizes_are_held_against_the_header_before_memory_is_taken(sound, tmp_path, monkeypatch, kind, changes):
    """Within its range each of these could be meant; none is what the weights are."""
    shutil.copytree(sound / kind, tmp_path / kind)
    edit(tmp_path / kind / CONFIG, **changes)
    build = GPT.__init__

    def on_no_device(self, config):
        assert torch.empty(1).device.type == "meta"
        build(self, config)

    monkeypatch.setattr(GPT, "__init__", on_no_device)
    refused(tmp_path / kind, r"model\.safetensors does not have the shape that config\.json describes|pieces but the")


def test_more_positions_than_there_is_memory_for_are_refused(broken):
    edit(broken / "policy" / CONFIG, max_position_embeddings=16_000_000)
    refused(broken / "policy", r"config\.json: max_position_embeddings is 16000000")


@pytest.mark.parametrize(("name", "value"), [
    ("gain", {}), ("gain", 0), ("gain", float("nan")), ("gain", "1"), ("bias", []), ("bias", float("inf")),
    ("reads_prompt", 1), ("labels", "good"), ("labels", [1]), ("likelihood_penalty", -1), ("max_turns", 0),
    ("max_turns", 2.5), ("memory", "3"), ("is_chat", "yes"), ("stage", "../../up"), ("stage", 7), ("sha256", 5),
    ("metrics", []), ("questions", [None]), ("finished", "no"), ("minutes", float("nan")), ("recipe", ["x"]),
])  # fmt: skip
def test_a_cards_fields_are_named(broken, name, value):
    edit(broken / "policy" / CARD, **{name: value})
    refused(broken / "policy", rf"minigpt\.json: {name} is ")
    with pytest.raises(UserError, match=rf"minigpt\.json: {name} is "):
        read_card(broken / "policy")


def test_a_card_may_leave_everything_out(broken):
    for content in ("{}", '{"stage": null, "sha256": null, "metrics": null, "max_turns": null}'):
        (broken / "policy" / CARD).write_text(content, encoding="utf-8")
        assert load_model(broken / "policy").max_turns is None


@pytest.mark.parametrize("kind", ["policy", "gpt2"])
def test_tensors_are_named(broken, kind):
    first = next(iter(load_file(broken / kind / WEIGHTS)))
    for change, words in [
        (lambda t: t.update({first: t[first][..., :-1].contiguous()}), rf"{first} is \["),
        (lambda t: t.pop(first), f"{first} is missing"),
        (lambda t: t.update({"model.layers.7.more": torch.zeros(1)}), "it has 8 layers, config.json says 2"),
        (lambda t: t.update({"layers.4000000000.x": torch.zeros(1)}), "belongs to no part of it"),
        (lambda t: t.update({"more": torch.zeros(2)}), "more belongs to no part"),
        (lambda t: t.update({first: t[first].long()}), f"{first} holds I64, not floating-point numbers"),
        (lambda t: t.clear(), "it has 0 layers"),
    ]:
        folder = broken / f"{kind}_changed"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(broken / kind, folder)
        change_weights(folder, change)
        refused(folder, rf"model\.safetensors.*{words}")


@pytest.mark.parametrize("name", ["score.weight", "gate.weight", "gate.bias"])
def test_heads_of_another_shape_are_named(broken, name):
    change_weights(broken / "reward", lambda tensors: tensors.update({name: torch.zeros(1, 7)}))
    with pytest.raises(UserError, match=rf"{name} is \[1, 7\], not \[1"):
        load_reward_model(broken / "reward")


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.model"])
@pytest.mark.parametrize("keep", [0, 1, 7, 8, 100, 0.5, 0.9])
def test_files_that_were_cut_off_are_named(broken, name, keep):
    path = broken / "policy" / name
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(UserError, match=name.replace(".", r"\.") + "|the tokenizer has"):
        load_model(broken / "policy")


@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_a_value_head_that_is_none_is_named(broken, content):
    path, chat = broken / "policy" / "value_head.safetensors", load_model(broken / "policy")
    assert load_value_head(broken / "policy", chat)
    if content is None:
        save_file({"weight": torch.zeros(1, 3), "bias": torch.zeros(1)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"value_head\.safetensors"):
        load_value_head(broken / "policy", chat)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in folders")
@pytest.mark.parametrize("name", [CONFIG, CARD, WEIGHTS, "tokenizer.model", "value_head.safetensors"])
def test_pipes_are_not_waited_for(broken, name):
    chat = load_model(broken / "policy")
    (broken / "policy" / name).unlink()
    os.mkfifo(broken / "policy" / name)
    if name == CARD:  # as if there were none
        assert load_model(broken / "policy")
    elif name == "value_head.safetensors":
        with pytest.raises(UserError, match="has no value head"):
            load_value_head(broken / "policy", chat)
    else:
        with pytest.raises(UserError):
            load_model(broken / "policy")


def test_exporting_a_model_without_a_stage_is_a_sentence(broken, monkeypatch):
    from minigpt import export

    edit(broken / "policy" / CARD, stage=None)
    monkeypatch.chdir(broken)
    monkeypatch.setattr(sys, "argv", ["export", "policy"])
    with pytest.raises(UserError, match=r"minigpt\.json: stage is missing"):
        export.main()


def test_the_meta_device_gives_the_same_names_and_shapes():
    """What `check_folder` compares with is what a model really has."""
    for architecture in ("qwen3", "gpt2"):
        real = make_model(architecture)
        with torch.device("meta"):
            built = GPT(real.config)
        assert {n: v.shape for n, v in built.state_dict().items()} == {n: v.shape for n, v in real.state_dict().items()}
