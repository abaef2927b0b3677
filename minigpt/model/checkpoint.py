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
import math
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from ..config import ModelConfig
from ..data.tokenizer import Tokenizer
from ..errors import UserError
from ..files import read_json, to_json, write_together
from .card import CARD, read_card
from .chat_model import ChatModel
from .gpt import GPT
from .hf_format import (
    NO_WEIGHT,
    from_hugging_face,
    hugging_face_config,
    hugging_face_tokenizer,
    read_config,
    to_hugging_face,
    tokenizer_settings,
)

WEIGHTS = "model.safetensors"
HEAD = "score.weight"  # the name that Hugging Face gives the head of a model that scores
GATE, FORMER_GATE = "gate.", "regret."  # what the parameters of a reward model's gate begin with, and once began with
VALUE_HEAD = "value_head.safetensors"  # beside the model that PPO wrote, for those who want to look inside
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
LAYER = re.compile(r"(?:^|\.)(?:layers|h)\.(\d{1,9})\.")
SMALL_TABLE = 1 << 24  # numbers in a table of positions that any model may have
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
    card, config = check_folder(folder)
    weights = read_weights(folder / WEIGHTS, expected_hash=card.get("sha256"))
    weights = {_present_name(name): value for name, value in weights.items()}
    heads = {name: weights.pop(name) for name in list(weights) if name == HEAD or name.startswith(GATE)}
    gpt = GPT(config.with_dropout(dropout))
    gpt.load_state_dict(from_hugging_face(weights, config))
    return gpt, heads


def check_folder(folder: Path) -> tuple[dict[str, Any], ModelConfig]:
    """The card and the shape of the model in a folder, after holding the one against its fields and the other against
    the names and shapes in the weights' header: no tensor is read, and no memory taken for sizes that a configuration
    only claims. Raises UserError naming the file, and the field or tensor."""
    card, config = read_card(folder), folder_config(folder)
    path = folder / WEIGHTS
    found = {_present_name(name): shape for name, shape in tensor_shapes(path).items() if not NO_WEIGHT.fullmatch(name)}
    numbers = {int(match[1]) for name in found if (match := LAYER.search(name))}
    layers = max(numbers, default=-1) + 1
    if layers != config.num_hidden_layers:
        raise _misshapen(path, f"it has {layers} layers, config.json says {config.num_hidden_layers}")
    with torch.device("meta"):
        # With few positions: the tables of the rotary ones are no weights, and of no size that the header confirms.
        learned = config.architecture == "gpt2"
        short = config if learned else replace(config, max_position_embeddings=min(8, config.max_position_embeddings))
        expected = to_hugging_face(GPT(short).state_dict(), config)
    wanted = {name: list(value.shape) for name, value in expected.items()}
    width = config.hidden_size
    heads = {HEAD: [1, width], f"{GATE}weight": [1, width], f"{GATE}bias": [1]}
    for name in sorted({*wanted, *found}):
        if name not in found:
            raise _misshapen(path, f"{name} is missing")
        if name not in wanted | heads:
            raise _misshapen(path, f"{name} belongs to no part of it")
        if found[name] != (wanted | heads)[name]:
            raise _misshapen(path, f"{name} is {found[name]}, not {(wanted | heads)[name]}")
    size = sum(math.prod(shape) for shape in found.values())
    if not learned and config.max_position_embeddings * config.head_dim > max(SMALL_TABLE, size):
        raise UserError(
            f"{folder / 'config.json'}: max_position_embeddings is {config.max_position_embeddings}; the angles of so"
            " many positions would take more memory than the model."
        )
    return card, config


def _misshapen(path: Path, reason: str) -> UserError:
    return UserError(f"{path} does not have the shape that config.json describes ({reason}).")


def _present_name(name: str) -> str:
    return GATE + name.removeprefix(FORMER_GATE) if name.startswith(FORMER_GATE) else name


def folder_config(folder: Path) -> ModelConfig:
    """The shape of the model in a folder. Raises UserError where there is none."""
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} holds no model (no config.json); name a folder that a run_*.py script wrote.")
    return read_config(folder / "config.json")


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
    files = weight_files(path)
    if expected_hash and files == [path] and file_hash(path) != expected_hash:
        raise UserError(
            f"{path} is not the file that {CARD} vouches for (SHA-256 differs); train or copy the model again."
        )
    tensors: dict[str, Tensor] = {}
    for file in files:
        with readable_tensors(file):
            tensors |= load_file(file)
    return {name: value.float() for name, value in tensors.items()}


def tensor_shapes(path: Path) -> dict[str, list[int]]:
    """The names and shapes in the header of a safetensors file, or of its shards. Raises UserError as `read_weights`
    does, and for tensors that hold no floating-point numbers."""
    shapes: dict[str, list[int]] = {}
    for file in weight_files(path):
        with readable_tensors(file), safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118
                part = opened.get_slice(name)
                if part.get_dtype() not in FLOATS and not NO_WEIGHT.fullmatch(name):
                    raise UserError(f"{file}: {name} holds {part.get_dtype()}, not floating-point numbers.")
                shapes[name] = part.get_shape()
    return shapes


@contextmanager
def readable_tensors(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong when a safetensors file is read into a sentence."""
    try:
        yield
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError, TypeError, RuntimeError) as error:
        raise UserError(f"{path} is not a safetensors file ({error}); other checkpoint formats are not read.") from None


def read_head(path: Path, width: int) -> dict[str, Tensor]:
    """weight [1, width] and bias [1] of a head in a file of its own. Raises UserError for anything else."""
    shapes, wanted = tensor_shapes(path), {"weight": [1, width], "bias": [1]}
    if shapes != wanted:
        raise UserError(f"{path} holds {str(shapes)[:200]}, not {wanted}; it belongs to another model.")
    return read_weights(path)


def weight_files(path: Path) -> list[Path]:
    """The file itself, or its shards. Raises UserError where neither is there."""
    index = path.with_name(f"{path.name}.index.json")
    if path.is_file():
        return [path]
    if index.is_file():
        return shards(index)
    pickled = sorted(file.name for file in path.parent.glob("*.bin"))
    reason = (
        f"{pickled[0]} beside it is a pickle, which can run code; save the model as safetensors"
        if pickled
        else "the model folder is incomplete"
    )
    raise UserError(f"{path} does not exist; {reason}.")


def shards(index: Path) -> list[Path]:
    """All files that an index names. Raises UserError if one is missing, or holds other tensors than it says."""
    content = read_json(index)
    files = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(files, dict) or not all(
        isinstance(file, str) and file == Path(file).name and file.endswith(".safetensors") for file in files.values()
    ):
        raise UserError(f"{index}: weight_map must name a .safetensors file of this folder for each tensor.")
    found = [index.with_name(file) for file in sorted(set(files.values()))]
    names: set[str] = set()
    for file in found:
        if not file.is_file():
            raise UserError(f"{file} does not exist; the model folder is incomplete.")
        with readable_tensors(file), safe_open(file, "pt") as opened:
            names |= set(opened.keys())
    if differing := sorted(files.keys() ^ names):
        raise UserError(f"{index}: {differing[0]} is in the index or in the shards only; copy the whole model again.")
    return found


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
