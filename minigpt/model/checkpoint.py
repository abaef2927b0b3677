"""A model folder: a Hugging Face folder, plus our own card.

    config.json              the shape, with Hugging Face's names (Qwen3 or GPT-2)
    model.safetensors        the weights, with Hugging Face's names
    tokenizer.model          SentencePiece
    tokenizer.json           the same tokenizer, for Hugging Face
    tokenizer_config.json    control pieces and chat template
    minigpt.json             the card: stage, parent, recipe, corpora, metrics, SHA-256 of the weights

`AutoModelForCausalLM.from_pretrained(folder)` gives the same logits. Nothing here is a pickle.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ..config import ModelConfig
from ..data.tokenizer import Tokenizer
from ..errors import UserError
from ..files import read_json, to_json, write_together
from .chat_model import ChatModel
from .gpt import GPT
from .hf_format import (
    from_hugging_face,
    hugging_face_config,
    hugging_face_tokenizer,
    read_config,
    to_hugging_face,
    tokenizer_settings,
)

WEIGHTS, CARD = "model.safetensors", "minigpt.json"
HEAD = "score.weight"  # the name that Hugging Face gives the head of a model that scores
GATE, FORMER_GATE = "gate.", "regret."  # what the parameters of a reward model's gate begin with, and once began with
VALUE_HEAD = "value_head.safetensors"  # beside the model that PPO wrote, for those who want to look inside
PREVIOUS = ".previous"  # what the folder of a finished model is called on, once a new run has taken its place
TRIAL = "-trial"  # what the folder of a model trained on votes ends in, unless it proves better than the one in use
MODEL_FILES = (WEIGHTS, CARD, "config.json", "tokenizer.model", "tokenizer.json", "tokenizer_config.json")


def save_model(
    folder: Path,
    chat: ChatModel,
    card: dict[str, Any],
    dtype: torch.dtype = torch.float32,
    heads: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model folder; with the `heads` of a reward model, HEAD [1, C] among them, one that scores.

    A full disk or a crash while writing leaves the old model; one in the instant of the renames is noticed on loading,
    because the card vouches for the weights' SHA-256.
    """
    config, tokenizer = chat.gpt.config, chat.tokenizer
    weights = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in to_hugging_face(chat.gpt.state_dict(), config).items()
    }
    weights |= {name: value.detach().to(dtype).contiguous() for name, value in (heads or {}).items()}
    data = save(weights, metadata={"format": "pt"})
    chat_facts = {"is_chat": chat.is_chat} | ({"max_turns": chat.max_turns} if chat.max_turns else {})
    write_together(
        {
            folder / WEIGHTS: data,
            folder / "config.json": to_json(hugging_face_config(config, tokenizer, dtype, scores=bool(heads))),
            folder / "tokenizer.model": tokenizer.model,
            folder / "tokenizer.json": to_json(hugging_face_tokenizer(tokenizer)),
            folder / "tokenizer_config.json": to_json(tokenizer_settings(chat.context)),
            folder / CARD: to_json({**card, **chat_facts, "sha256": hashlib.sha256(data).hexdigest()}),
        }
    )


def load_model(folder: str | Path, device: torch.device | str = "cpu", dropout: float = 0.0) -> ChatModel:
    """Read a model folder that a run_*.py script wrote. Raises UserError for anything but a sound one."""
    chat, heads = read_model(Path(folder), dropout)
    if heads:
        raise UserError(f"{folder} is a reward model: it scores answers (run_reward.py --score), it cannot write.")
    chat.gpt.to(device)
    return chat


def read_model(folder: Path, dropout: float = 0.0) -> tuple[ChatModel, dict[str, Tensor]]:
    """The model in a folder, and what stands on top of it if it is a reward model: HEAD [1, C], and the gate if any.

    Raises UserError where there is no tokenizer.model: without one there is nothing to say to a model.
    """
    config = folder_config(folder)
    if not (folder / "tokenizer.model").is_file():
        raise UserError(f"{folder} has no tokenizer.model; name a folder that a run_*.py script wrote.")
    tokenizer = Tokenizer.load(folder)
    if tokenizer.vocab_size != config.vocab_size:
        raise UserError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size} pieces but the model {config.vocab_size};"
            " they belong to different runs."
        )
    gpt, heads = read_gpt(folder, dropout)
    card = read_card(folder)
    is_chat = card.get("is_chat", card.get("stage", "pretrain") != "pretrain")
    return ChatModel(gpt, tokenizer, is_chat, card.get("max_turns", card.get("memory"))), heads


def read_gpt(folder: Path, dropout: float = 0.0) -> tuple[GPT, dict[str, Tensor]]:
    """The network alone, and its heads as in `read_model`: of any Hugging Face folder of a shape that we know."""
    config = folder_config(folder).with_dropout(dropout)
    weights = read_weights(folder / WEIGHTS, expected_hash=read_card(folder).get("sha256"))
    for name in [name for name in weights if name.startswith(FORMER_GATE)]:
        weights[GATE + name.removeprefix(FORMER_GATE)] = weights.pop(name)
    heads = {name: weights.pop(name) for name in list(weights) if name == HEAD or name.startswith(GATE)}
    gpt = GPT(config)
    try:
        gpt.load_state_dict(from_hugging_face(weights, config))
    except (RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{folder / WEIGHTS} does not have the shape that config.json describes ({reason}).") from None
    return gpt, heads


def folder_config(folder: Path) -> ModelConfig:
    """The shape of the model in a folder. Raises UserError where there is none."""
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} holds no model (no config.json); name a folder that a run_*.py script wrote.")
    return read_config(folder / "config.json")


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a model folder; empty for a folder that somebody else wrote."""
    return read_json(folder / CARD) if (folder / CARD).is_file() else {}


def make_room(folder: Path) -> Path:
    """Keep the model in `folder` once more, under another name, in place of the one that is kept there; gives that
    name."""
    kept = folder.with_name(f"{folder.name}{PREVIOUS}")
    shutil.rmtree(kept, ignore_errors=True)
    folder.rename(kept)
    return kept


def read_weights(path: Path, expected_hash: str | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file, as float32, after checking the file's SHA-256 if one is expected. Where the
    file is not there, those of the shards that an index beside it names: so Hugging Face writes large models."""
    index = path.with_name(f"{path.name}.index.json")
    if not path.is_file() and index.is_file():
        return read_shards(index)
    if not path.is_file():
        pickled = sorted(file.name for file in path.parent.glob("*.bin"))
        reason = (
            f"{pickled[0]} beside it is a pickle, which can run code; save the model as safetensors"
            if pickled
            else "the model folder is incomplete"
        )
        raise UserError(f"{path} does not exist; {reason}.")
    if expected_hash and file_hash(path) != expected_hash:
        raise UserError(
            f"{path} is not the file that {CARD} vouches for (SHA-256 differs); train or copy the model again."
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a safetensors file ({error}); other checkpoint formats are not read.") from None
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}


def read_shards(index: Path) -> dict[str, Tensor]:
    """The tensors of all files that an index names. Raises UserError if one is missing, or is not what it says."""
    content = read_json(index)
    files = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(files, dict) or not all(
        isinstance(file, str) and file == Path(file).name and file.endswith(".safetensors") for file in files.values()
    ):
        raise UserError(f"{index}: weight_map must name a .safetensors file of this folder for each tensor.")
    tensors: dict[str, Tensor] = {}
    for file in sorted(set(files.values())):
        tensors |= read_weights(index.with_name(file))
    if differing := sorted(files.keys() ^ tensors.keys()):
        raise UserError(f"{index}: {differing[0]} is in the index or in the shards only; copy the whole model again.")
    return tensors


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
