"""Names and shapes, ours and Hugging Face's: what config.json, the weights and the tokenizer are called over there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..config import ModelConfig, check_value
from ..data.tokenizer import CHAT_TEMPLATE, Tokenizer
from ..data.tokenizer_training import BOS, EOS, PAD, UNK
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
NO_WEIGHT = re.compile(r"lm_head\.weight|(transformer\.)?h\.\d+\.attn\.(masked_)?bias")
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


#: What else a config.json may ask for, and the values that ask for nothing: our model computes no other. Whatever is
#: missing has its first value. `transformers` 5 writes all of these; what neither of us reads (dropout, initialisation,
#: special tokens, caches, dtype: weights become float32) changes no logits.
NEUTRAL: dict[str, dict[str, tuple[Any, ...]]] = {
    "qwen3": {
        "hidden_act": ("silu",),
        "attention_bias": (False,),
        "mlp_bias": (False,),
        "use_sliding_window": (False, None),
        "partial_rotary_factor": (None, 1),
        "num_experts": (None, 0, 1),
    },
    "gpt2": {
        "tie_word_embeddings": (True,),
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),  # two names of one formula
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
    },
}
EITHER: dict[str, tuple[Any, ...]] = {"quantization_config": (None, {}), "auto_map": (None, {})}
FIELDS = {one.name: one for one in fields(ModelConfig)}
#: Our fields and theirs.
SHAPES: dict[str, dict[str, str]] = {
    "qwen3": {name: name for name in FIELDS if name not in ("architecture", "norm_eps", "dropout")}
    | {"norm_eps": "rms_norm_eps"},
    "gpt2": {
        "vocab_size": "vocab_size",
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "intermediate_size": "n_inner",
        "max_position_embeddings": "n_positions",
        "norm_eps": "layer_norm_epsilon",
    },
}
DEFAULTS = {"n_inner": None, "layer_norm_epsilon": 1e-5}  # theirs that may be missing; n_inner is 4 times n_embd


def read_config(path: Path) -> ModelConfig:
    """A ModelConfig from a Hugging Face config.json. Raises UserError, naming the field, for a kind of model that ours
    is not: it would give other logits."""
    c = read_json(path)
    if not isinstance(c, dict):
        raise UserError(f"{path}: expected an object {{…}}, found {type(c).__name__}; it is no config.json.")
    kind = c.get("model_type")
    if kind not in ("qwen3", "gpt2"):
        raise UserError(f"{path}: model_type is {kind!r}; minigpt reads qwen3 and gpt2.")
    if odd := _unsupported(kind, c):
        told = ", ".join(f"{name} {str(value)[:60]}" for name, value in odd.items())
        raise UserError(f"{path}: this model differs from ours in {told}; it cannot be read.")

    source = dict(c)
    if kind == "qwen3":
        source["rope_theta"] = (c.get("rope_parameters") or {}).get("rope_theta", c.get("rope_theta"))
    shape: dict[str, Any] = {"architecture": kind}
    for ours, theirs in SHAPES[kind].items():
        value = source.get(theirs)
        if value is None and theirs in DEFAULTS:
            continue
        if value is None:
            raise UserError(f"{path}: {theirs} is missing; the file is not a whole {kind} config.")
        try:
            check_value(FIELDS[ours], value, theirs)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        shape[ours] = value
    if kind == "gpt2":
        width, heads = shape["hidden_size"], shape["num_attention_heads"]
        if width % heads:
            raise UserError(f"{path}: n_embd {width} cannot be cut into {heads} heads (n_head).")
        shape |= {"num_key_value_heads": heads, "head_dim": width // heads}
        shape = {"intermediate_size": 4 * width, "norm_eps": DEFAULTS["layer_norm_epsilon"]} | shape
    try:
        return ModelConfig(**shape)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _unsupported(kind: str, c: dict[str, Any]) -> dict[str, Any]:
    """The fields of a config.json that ask for what our model does not do, with their values."""
    odd = {}
    for name, neutral in (NEUTRAL[kind] | EITHER).items():
        if (value := c.get(name, neutral[0])) not in neutral:
            odd[name] = value
    if kind == "qwen3":
        if not c.get("tie_word_embeddings"):
            odd["tie_word_embeddings"] = False
        layers = c.get("layer_types") or []
        if not isinstance(layers, list) or any(layer != "full_attention" for layer in layers):
            odd["layer_types"] = layers
        for name in ("rope_parameters", "rope_scaling"):
            rope = c.get(name) or {}
            plain = isinstance(rope, dict) and not any(isinstance(value, dict) for value in rope.values())
            if not plain or rope.get("rope_type", rope.get("type", "default")) != "default":
                odd[name] = rope
            elif rope.get("partial_rotary_factor") not in (None, 1):
                odd["partial_rotary_factor"] = rope["partial_rotary_factor"]
    return odd


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
    """The inverse of `to_hugging_face`; tensors that our model has not keep their names. Raises KeyError for a missing
    one."""
    prefix = "model." if config.architecture == "qwen3" else "transformer."
    # Some writers store the tied output projection a second time, and GPT-2's causal masks.
    theirs = {name.removeprefix(prefix): value for name, value in theirs.items() if not NO_WEIGHT.fullmatch(name)}
    if config.architecture == "qwen3":
        return theirs
    ours = {f"{b}.{kind}": theirs.pop(f"{a}.{kind}") for a, b, kind in GPT2_TOP}
    for i in range(config.num_hidden_layers):
        for kind in ("weight", "bias"):
            qkv = theirs.pop(f"h.{i}.attn.c_attn.{kind}")
            parts = (qkv.t() if kind == "weight" else qkv).chunk(3)
            for part, value in zip("qkv", parts, strict=True):
                ours[f"layers.{i}.self_attn.{part}_proj.{kind}"] = value
            for a, (b, transposed) in GPT2_LAYER.items():
                value = theirs.pop(f"h.{i}.{a}.{kind}")
                ours[f"layers.{i}.{b}.{kind}"] = value.t() if transposed and kind == "weight" else value
    return ours | theirs


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
