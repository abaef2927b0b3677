"""Names and shapes, ours and Hugging Face's: what config.json, the weights and the tokenizer are called over there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..config import ModelConfig
from ..data.tokenizer import BOS, CHAT_TEMPLATE, EOS, PAD, UNK, Tokenizer
from ..errors import UserError
from ..files import read_json

#: GPT-2's name for a part of a layer -> (our name, whether GPT-2 stores the matrix transposed).
GPT2_LAYER = {
    "ln_1": ("input_layernorm", False),
    "attn.c_proj": ("self_attn.o_proj", True),
    "ln_2": ("post_attention_layernorm", False),
    "mlp.c_fc": ("mlp.up_proj", True),
    "mlp.c_proj": ("mlp.down_proj", True),
}
GPT2_TOP = [
    ("wte", "embed_tokens", "weight"),
    ("wpe", "embed_positions", "weight"),
    ("ln_f", "norm", "weight"),
    ("ln_f", "norm", "bias"),
]


def hugging_face_config(
    config: ModelConfig, tokenizer: Tokenizer, dtype: torch.dtype, scores: bool = False
) -> dict[str, Any]:
    """config.json; `scores` for a reward model, which Hugging Face calls sequence classification with one label."""
    task = "ForSequenceClassification" if scores else None
    common = {
        "vocab_size": config.vocab_size,
        "torch_dtype": str(dtype).removeprefix("torch."),
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.bos,
        "eos_token_id": tokenizer.eos,
        "pad_token_id": tokenizer.pad,
        **({"num_labels": 1, "problem_type": "regression"} if scores else {}),
    }
    if config.architecture == "gpt2":
        return {
            "architectures": [f"GPT2{task or 'LMHeadModel'}"],
            "model_type": "gpt2",
            "n_embd": config.hidden_size,
            "n_layer": config.num_hidden_layers,
            "n_head": config.num_attention_heads,
            "n_inner": config.intermediate_size,
            "n_positions": config.max_position_embeddings,
            "layer_norm_epsilon": config.norm_eps,
            "activation_function": "gelu_new",
            **common,
        }
    return {
        "architectures": [f"Qwen3{task or 'ForCausalLM'}"],
        "model_type": "qwen3",
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.norm_eps,
        "hidden_act": "silu",
        "attention_bias": False,
        **common,
    }


def read_config(path: Path) -> ModelConfig:
    """A ModelConfig from a Hugging Face config.json. Raises UserError for a kind of model that this is not."""
    c = read_json(path)
    kind = c.get("model_type")
    if kind not in ("qwen3", "gpt2"):
        raise UserError(f"{path}: model_type is {kind!r}; minigpt reads qwen3 and gpt2.")
    unusual = {
        "tie_word_embeddings": not c.get("tie_word_embeddings", kind == "gpt2"),
        "rope_scaling": c.get("rope_scaling") is not None,
        "attention_bias": c.get("attention_bias", False),
        "hidden_act": c.get("hidden_act", "silu") != "silu",
        "activation_function": c.get("activation_function", "gelu_new") != "gelu_new",
    }
    if any(unusual.values()):
        names = ", ".join(name for name, odd in unusual.items() if odd)
        raise UserError(f"{path}: this model differs from ours in {names}; it cannot be read.")
    try:
        if kind == "gpt2":
            return ModelConfig(
                architecture="gpt2",
                vocab_size=c["vocab_size"],
                hidden_size=c["n_embd"],
                num_hidden_layers=c["n_layer"],
                num_attention_heads=c["n_head"],
                num_key_value_heads=c["n_head"],
                head_dim=c["n_embd"] // c["n_head"],
                intermediate_size=c.get("n_inner") or 4 * c["n_embd"],
                max_position_embeddings=c["n_positions"],
                norm_eps=c.get("layer_norm_epsilon", 1e-5),
            )
        return ModelConfig(
            architecture="qwen3",
            rope_theta=c["rope_theta"] if "rope_theta" in c else c["rope_parameters"]["rope_theta"],
            norm_eps=c["rms_norm_eps"],
            **{
                name: c[name]
                for name in (
                    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                    "head_dim", "intermediate_size", "max_position_embeddings",
                )
            },
        )  # fmt: skip
    except KeyError as error:
        raise UserError(f"{path}: {error.args[0]} is missing; the file is not a whole {kind} config.") from None


def to_hugging_face(ours: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Our weights under Hugging Face's names. Qwen3's differ by a prefix; GPT-2 joins q, k and v and transposes."""
    if config.architecture == "qwen3":
        return {f"model.{name}": value.contiguous() for name, value in ours.items()}
    theirs = {f"transformer.{a}.{kind}": ours[f"{b}.{kind}"] for a, b, kind in GPT2_TOP}
    for i in range(config.num_hidden_layers):
        for kind in ("weight", "bias"):
            qkv = torch.cat([ours[f"layers.{i}.self_attn.{part}_proj.{kind}"] for part in "qkv"])
            theirs[f"transformer.h.{i}.attn.c_attn.{kind}"] = qkv.t() if kind == "weight" else qkv
            for a, (b, transposed) in GPT2_LAYER.items():
                value = ours[f"layers.{i}.{b}.{kind}"]
                theirs[f"transformer.h.{i}.{a}.{kind}"] = value.t() if transposed and kind == "weight" else value
    return {name: value.contiguous() for name, value in theirs.items()}


def from_hugging_face(theirs: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """The inverse of `to_hugging_face`. Raises KeyError for a missing tensor."""
    if config.architecture == "qwen3":
        tied = {"lm_head.weight"}  # some writers store the tied output projection a second time
        return {name.removeprefix("model."): value for name, value in theirs.items() if name not in tied}
    theirs = {name.removeprefix("transformer."): value for name, value in theirs.items()}
    ours = {f"{b}.{kind}": theirs[f"{a}.{kind}"] for a, b, kind in GPT2_TOP}
    for i in range(config.num_hidden_layers):
        for kind in ("weight", "bias"):
            qkv = theirs[f"h.{i}.attn.c_attn.{kind}"]
            parts = (qkv.t() if kind == "weight" else qkv).chunk(3)
            for part, value in zip("qkv", parts, strict=True):
                ours[f"layers.{i}.self_attn.{part}_proj.{kind}"] = value
            for a, (b, transposed) in GPT2_LAYER.items():
                value = theirs[f"h.{i}.{a}.{kind}"]
                ours[f"layers.{i}.{b}.{kind}"] = value.t() if transposed and kind == "weight" else value
    return ours


def tokenizer_settings(context: int) -> dict[str, Any]:
    """tokenizer_config.json: the control pieces and the chat template."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "unk_token": UNK,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        "chat_template": CHAT_TEMPLATE,
    }


def hugging_face_tokenizer(tokenizer: Tokenizer) -> dict[str, Any]:
    """tokenizer.json: the SentencePiece model as Hugging Face's byte-pair encoder.

    SentencePiece joins the two neighbours whose joint piece has the best score; Hugging Face wants the same as an
    ordered list of merges, so every way to cut a piece in two is listed, best piece first.
    """
    pieces = [tokenizer.piece(token) for token in range(tokenizer.vocab_size)]
    vocabulary = {piece: token for token, piece in enumerate(pieces)}
    controls = [token for token in vocabulary.values() if tokenizer.is_control(token)]
    joint = [token for token in vocabulary.values() if len(pieces[token]) > 1 and tokenizer.is_learned(token)]
    merges = [
        [pieces[token][:cut], pieces[token][cut:]]
        for token in sorted(joint, key=tokenizer.score, reverse=True)
        for cut in range(1, len(pieces[token]))
        if pieces[token][:cut] in vocabulary and pieces[token][cut:] in vocabulary
    ]
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": token, "content": pieces[token], "special": True, "normalized": False,
             "single_word": False, "lstrip": False, "rstrip": False}
            for token in controls
        ],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {"type": "BPE", "unk_token": UNK, "byte_fallback": True, "vocab": vocabulary, "merges": merges},
    }  # fmt: skip
