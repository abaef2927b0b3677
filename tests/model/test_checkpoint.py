"""Model folders: Hugging Face reads them as we do, they are whole or untouched, and nothing unsafe is opened."""

from __future__ import annotations

import errno
import json
import pickle
from pathlib import Path

import pytest
import torch
from helpers.models import make_chat

from minigpt import ChatModel, Tokenizer, Turn, UserError
from minigpt.files import write_together
from minigpt.model.checkpoint import load_model, read_card, read_gpt, save_model

transformers = pytest.importorskip("transformers")


def saved(folder: Path, tokenizer: Tokenizer, architecture: str = "qwen3", **options) -> ChatModel:
    chat = make_chat(tokenizer, architecture=architecture, context=48, **options)
    save_model(folder, chat, {"stage": "sft"})
    return chat


@pytest.mark.parametrize("architecture", ["qwen3", "gpt2"])
def test_hugging_face_reads_the_folder_and_gives_the_same_logits(tmp_path, tokenizer, architecture):
    ours = saved(tmp_path, tokenizer, architecture)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = torch.randint(0, tokenizer.vocab_size, (3, 40))
    with torch.no_grad():
        assert torch.allclose(ours.gpt(ids), theirs(ids).logits, atol=1e-4)


def test_hugging_face_reads_the_same_tokens_and_the_same_chat_template(tmp_path, tokenizer):
    saved(tmp_path, tokenizer)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in [
        "Good morning, how are you?",
        "  two  spaces",
        "line\nbreak",
        "日本 🦊",
        "12 kinds of fish",
        "a",
        " a",
    ]:
        assert theirs.encode(text, add_special_tokens=False) == tokenizer.encode(text), text
        assert theirs.decode(tokenizer.encode(text)) == text
    turns = [
        Turn("system", "Be kind."),
        Turn("user", "Good morning"),
        Turn("assistant", "Fine, thank you!"),
        Turn("user", "Bye"),
    ]
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    ids = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert list(ids) == tokenizer.encode_prompt(turns)


def test_a_gpt2_made_by_transformers_loads_with_equal_logits(tmp_path):
    config = transformers.GPT2Config(vocab_size=70, n_embd=32, n_layer=2, n_head=4, n_positions=24)
    theirs = transformers.GPT2LMHeadModel(config).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs.save_pretrained(tmp_path)
    ids = torch.randint(0, 70, (2, 24))
    with torch.no_grad():
        gpt, heads = read_gpt(tmp_path)
        assert torch.allclose(gpt(ids), theirs(ids).logits, atol=1e-4) and not heads
    with pytest.raises(UserError, match=r"has no tokenizer\.model"):
        load_model(tmp_path)


SHAPES = {
    "qwen3": dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
                  intermediate_size=48, max_position_embeddings=24, tie_word_embeddings=True),
    "gpt2": dict(n_embd=32, n_layer=2, n_head=4, n_positions=24),
}  # fmt: skip


def foreign(folder: Path, kind: str, **changes):
    """A model that transformers made and saved, with weights that tell its parts apart."""
    make = {"qwen3": transformers.Qwen3Config, "gpt2": transformers.GPT2Config}[kind]
    size = changes.pop("max_shard_size", "5GB")
    theirs = transformers.AutoModelForCausalLM.from_config(make(vocab_size=70, **SHAPES[kind] | changes)).eval()
    torch.manual_seed(0)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs.save_pretrained(folder, max_shard_size=size)
    return theirs


def same_logits(folder: Path, theirs) -> bool:
    ids = torch.randint(0, 70, (2, 24))
    with torch.no_grad():
        return torch.allclose(read_gpt(folder)[0](ids), theirs(ids).logits, atol=1e-4)


@pytest.mark.parametrize(("kind", "changes"), [
    ("qwen3", {}),
    ("qwen3", {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}),
    ("qwen3", {"sliding_window": 8, "max_window_layers": 0}),  # without use_sliding_window it slides nowhere
    ("qwen3", {"attention_dropout": 0.1, "initializer_range": 0.5}),
    ("qwen3", {"max_shard_size": "20KB"}),
    ("gpt2", {"activation_function": "gelu_pytorch_tanh", "n_inner": 40, "reorder_and_upcast_attn": True}),
    ("gpt2", {"max_shard_size": "20KB"}),
])  # fmt: skip
def test_models_made_by_transformers_give_the_same_logits(tmp_path, kind, changes):
    sharded = "max_shard_size" in changes
    assert same_logits(tmp_path, foreign(tmp_path, kind, **changes))
    assert len(list(tmp_path.glob("*.safetensors"))) == (1 if not sharded else len(list(tmp_path.glob("model-0*"))))


@pytest.mark.parametrize(("kind", "changes", "named"), [
    ("qwen3", {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}, "rope_parameters"),
    ("qwen3", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}, "use_sliding_window"),
    ("qwen3", {"layer_types": ["full_attention", "sliding_attention"], "use_sliding_window": True,
               "sliding_window": 8}, "layer_types"),
    ("qwen3", {"attention_bias": True}, "attention_bias"),
    ("qwen3", {"hidden_act": "gelu"}, "hidden_act gelu"),
    ("qwen3", {"tie_word_embeddings": False}, "tie_word_embeddings False"),
    ("gpt2", {"activation_function": "relu"}, "activation_function relu"),
    ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights False"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
    ("gpt2", {"tie_word_embeddings": False}, "tie_word_embeddings False"),
])  # fmt: skip
def test_what_our_model_does_not_compute_is_refused_by_name(tmp_path, kind, changes, named):
    """Each of these changes the logits over there, so none may be read as if it did not matter."""
    foreign(tmp_path, kind, **changes)
    with pytest.raises(UserError, match=rf"config\.json: this model differs from ours in .*{named}"):
        read_gpt(tmp_path)


@pytest.mark.parametrize(("kind", "changes", "named"), [
    ("qwen3", {"rope_scaling": {"type": "yarn", "factor": 4.0}}, "rope_scaling"),
    ("qwen3", {"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "rope_parameters"),
    ("qwen3", {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "partial_rotary_factor 0.5"),
    ("qwen3", {"num_experts": 8}, "num_experts 8"),
    ("qwen3", {"quantization_config": {"bits": 4}}, "quantization_config"),
    ("gpt2", {"add_cross_attention": True}, "add_cross_attention"),
    ("gpt2", {"auto_map": {"AutoModel": "theirs.Model"}}, "auto_map"),
    ("qwen3", {"model_type": "qwen3_moe"}, "model_type is 'qwen3_moe'"),
    ("qwen3", {"hidden_size": 32.0}, "hidden_size is 32.0; it must be a whole number"),
    ("qwen3", {"num_hidden_layers": 10**29}, "num_hidden_layers is 1000"),
    ("qwen3", {"head_dim": True}, "head_dim is True"),
    ("qwen3", {"rms_norm_eps": "x"}, "rms_norm_eps is x; it must be a number"),
    ("qwen3", {"rope_parameters": {"rope_theta": "much"}}, "rope_theta is much"),
    ("qwen3", {"rope_parameters": None}, "rope_theta is missing"),
    ("qwen3", {"rope_parameters": [1]}, "rope_parameters"),
    ("qwen3", {"layer_types": "full"}, "layer_types"),
    ("gpt2", {"n_head": 5}, "n_embd 32 cannot be cut into 5 heads"),
    ("gpt2", {"n_layer": 0}, "n_layer is 0"),
    ("gpt2", {"n_layer": 1}, "does not have the shape"),  # the second layer must not be left out unsaid
])  # fmt: skip
def test_edited_configurations_are_named_by_field(tmp_path, kind, changes, named):
    foreign(tmp_path, kind)
    edit(tmp_path / "config.json", **changes)
    with pytest.raises(UserError, match=named):
        read_gpt(tmp_path)


def test_shards_are_read_only_if_they_are_all_there_and_here(tmp_path):
    foreign(tmp_path, "qwen3", max_shard_size="20KB")
    index = tmp_path / "model.safetensors.index.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    first, name = sorted(set(content["weight_map"].values()))[0], next(iter(content["weight_map"]))
    for weight_map, words in [
        ({name: f"../{first}"}, "must name a .safetensors file of this folder"),
        ({name: 3}, "must name a .safetensors file of this folder"),
        (None, "must name"),
        (content["weight_map"] | {"more.weight": first}, "more.weight is in the index or in the shards only"),
    ]:
        edit(index, weight_map=weight_map)
        with pytest.raises(UserError, match=words):
            read_gpt(tmp_path)
    edit(index, weight_map=content["weight_map"])
    (tmp_path / first).unlink()
    with pytest.raises(UserError, match=f"{first} does not exist"):
        read_gpt(tmp_path)


def test_a_pickled_checkpoint_is_named_and_not_opened(tmp_path):
    foreign(tmp_path, "qwen3")
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin beside it is a pickle"):
        read_gpt(tmp_path)


@pytest.mark.parametrize("content", ["[]", "null", "1", "[" * 100_000, "9" * 5000, '"x"'])
def test_a_config_that_is_no_object_is_a_sentence(tmp_path, tokenizer, content):
    saved(tmp_path, tokenizer)
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"config\.json"):
        load_model(tmp_path)


@pytest.mark.parametrize("architecture", ["qwen3", "gpt2"])
def test_what_is_saved_is_what_is_loaded(tmp_path, tokenizer, architecture):
    ours = saved(tmp_path, tokenizer, architecture)
    again = load_model(tmp_path)
    assert again.gpt.config == ours.gpt.config
    for (name, a), (_, b) in zip(ours.gpt.named_parameters(), again.gpt.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    assert again.tokenizer.fingerprint() == tokenizer.fingerprint()


@pytest.mark.parametrize(("is_chat", "max_turns"), [(True, None), (True, 3), (False, None)])
def test_how_a_model_is_spoken_to_is_saved_with_it(tmp_path, tokenizer, is_chat, max_turns):
    """Whatever its stage is called: pre-training on conversations leaves a model that answers."""
    saved(tmp_path, tokenizer, is_chat=is_chat, max_turns=max_turns)
    again = load_model(tmp_path)
    assert (again.is_chat, again.max_turns) == (is_chat, max_turns)


def test_bf16_weights_take_half_the_space(tmp_path, tokenizer):
    model = saved(tmp_path / "full", tokenizer)
    save_model(tmp_path / "half", model, {}, dtype=torch.bfloat16)
    full, half = ((tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half"))
    assert half < 0.6 * full
    assert next(load_model(tmp_path / "half").gpt.parameters()).dtype == torch.float32


# Whole or untouched.


def test_a_full_disk_leaves_the_former_model_intact(tmp_path, tokenizer, monkeypatch):
    saved(tmp_path, tokenizer, seed=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("minigpt.files.os.fsync", full)
    with pytest.raises(UserError, match="no space left"):
        saved(tmp_path, tokenizer, seed=2)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_that_belong_together_are_written_before_any_is_replaced(tmp_path):
    (tmp_path / "a").write_text("old", encoding="utf-8")
    (tmp_path / "b").mkdir()
    with pytest.raises(UserError, match="in the way"):
        write_together({tmp_path / "b" / "c": b"new", tmp_path / "a" / "d": b"impossible"})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]
    assert not list((tmp_path / "b").iterdir())
    assert (tmp_path / "a").read_text(encoding="utf-8") == "old"


# What is refused.


class Touch:
    """Unpickling this creates a file: the proof that somebody's code has run."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_defect_10_a_pickle_is_never_opened(tmp_path, tokenizer):
    saved(tmp_path, tokenizer)
    victim = tmp_path / "victim"
    (tmp_path / "model.safetensors").write_bytes(pickle.dumps(Touch(str(victim))))
    with pytest.raises(UserError, match="not a safetensors file"):
        load_model(tmp_path)
    assert not victim.exists()


def test_a_changed_weight_file_is_noticed(tmp_path, tokenizer):
    saved(tmp_path, tokenizer)
    path = tmp_path / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="SHA-256"):
        load_model(tmp_path)


def edit(path: Path, **changes) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_size": 64}, "does not have the shape"),
        ({"num_hidden_layers": 3}, "does not have the shape"),
        ({"vocab_size": 999}, "340 pieces but the model 999; they belong to different runs"),
        ({"model_type": "llama"}, "reads qwen3 and gpt2"),
        ({"attention_bias": True}, "attention_bias"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings"),
    ],
)
def test_a_config_that_does_not_fit_is_explained(tmp_path, tokenizer, changes, words):
    saved(tmp_path, tokenizer)
    edit(tmp_path / "config.json", **changes)
    with pytest.raises(UserError, match=words):
        load_model(tmp_path)


def test_a_tokenizer_of_another_run_is_noticed(tmp_path, tokenizer, text):
    saved(tmp_path, tokenizer)
    (tmp_path / "tokenizer.model").write_bytes(Tokenizer.train([text], 345).model)
    with pytest.raises(UserError, match="345 pieces but the model 340; they belong to different runs"):
        load_model(tmp_path)


def test_folders_that_are_no_models_are_explained(tmp_path, tokenizer):
    with pytest.raises(UserError, match="holds no model"):
        load_model(tmp_path / "nowhere")
    saved(tmp_path, tokenizer)
    assert read_card(tmp_path)["stage"] == "sft"
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match="not valid JSON"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    with pytest.raises(UserError, match="is missing"):
        load_model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"config\.json|incomplete"):
        load_model(tmp_path)
