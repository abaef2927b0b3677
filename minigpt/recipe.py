"""A recipe: one readable TOML file that names, for each stage, the corpus and the settings."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .config import TrainingConfig
from .corpus import FORMATS, CorpusLoader, Document
from .corpus.catalogue import corpora_dir, find
from .corpus.tinytown import ensure_corpora
from .errors import UserError, nearest

RECIPES = Path(__file__).parent / "recipes"
TINYTOWN = Path("corpora") / "tinytown"  # made here, also where the other corpora come from a read-only folder
STAGES = ("pretrain", "sft")
MODEL_SETTINGS = {"title": str, "depth": int, "context": int, "vocab_size": int, "characters": bool,
                  "architecture": str, "dropout": float}  # fmt: skip
#: Text enough to learn a vocabulary from; more only takes longer.
TOKENIZER_CHARACTERS = 10_000_000


@dataclass(frozen=True)
class Recipe:
    """What a recipe file says. `model` holds the settings above the first stage, `stages` those of each stage."""

    name: str
    model: dict[str, Any]
    stages: dict[str, dict[str, Any]]

    @property
    def title(self) -> str:
        return self.model.get("title", self.name)

    def training(self, stage: str) -> dict[str, Any]:
        """The TrainingConfig fields that the recipe sets for a stage."""
        return {k: v for k, v in self.stages[stage].items() if k not in ("corpus", "format")}

    def open_corpus(self, stage: str, corpora: str | None = None, corpus: str | None = None) -> CorpusLoader:
        """Read a stage's corpus, from `corpora` if it is there. `corpus`, a name or path, takes the recipe's place."""
        where = corpus or self.stages[stage]["corpus"]
        loader = FORMATS[self.stages[stage]["format"]]
        return loader.read(locate(where, corpora))

    def tokenizer_texts(self, corpora: str | None = None, first: CorpusLoader | None = None) -> list[str]:
        """The text that the recipe's tokenizer learns from: some of each stage's, taken evenly from all of it."""
        texts: list[str] = []
        for i, stage in enumerate(self.stages):
            loader = first if first is not None and i == 0 else self.open_corpus(stage, corpora)
            texts += sample_evenly(texts_of(loader.train), TOKENIZER_CHARACTERS // len(self.stages))
        return texts


def load_recipe(name: str) -> Recipe:
    """The recipe of that name, or the one in that file. Raises UserError naming the file and what is wrong in it."""
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        known = sorted(file.stem for file in RECIPES.glob("*.toml"))
        raise UserError(
            f"there is no recipe {name!r}{nearest(name, known)}; choose {', '.join(known)} or a .toml file."
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}.") from None
    stages = {key: value for key, value in content.items() if isinstance(value, dict)}
    model = {key: value for key, value in content.items() if not isinstance(value, dict)}
    _check_keys(path, "", model, MODEL_SETTINGS)
    _check_keys(path, "", stages, dict.fromkeys(STAGES, dict))
    settings = {"corpus": str, "format": str} | {field.name: type(field.default) for field in fields(TrainingConfig)}
    for stage, values in stages.items():
        _check_keys(path, f"[{stage}] ", values, settings)
        for needed in ("corpus", "format"):
            if needed not in values:
                raise UserError(f"{path}: [{stage}] lacks {needed}.")
        if values["format"] not in FORMATS:
            raise UserError(
                f"{path}: [{stage}] format {values['format']!r} is unknown{nearest(values['format'], FORMATS)};"
                f" choose {', '.join(FORMATS)}."
            )
    return Recipe(path.stem, model, stages)


def locate(corpus: str, corpora: str | None = None) -> Path:
    """Where a corpus lies: Tinytown (written now if need be), a path, or a name from the catalogue."""
    if corpus.split("/")[0] == "tinytown":
        return ensure_corpora(TINYTOWN) / Path(corpus).relative_to("tinytown")
    path = Path(corpus)
    return path if path.exists() or path.suffix or len(path.parts) > 1 else find(corpus, corpora_dir(corpora))


def texts_of(examples: Iterable[Any]) -> list[str]:
    """All text of documents or conversations."""
    return [
        text
        for example in examples
        for text in ([example.text] if isinstance(example, Document) else [turn.text for turn in example.turns])
    ]


def sample_evenly(texts: list[str], characters: int) -> list[str]:
    """Every n-th text, so that about `characters` remain."""
    total = sum(map(len, texts))
    return texts[:: max(1, -(-total // characters))]


def _check_keys(path: Path, where: str, found: dict[str, Any], known: dict[str, type]) -> None:
    for key, value in found.items():
        if key not in known:
            raise UserError(f"{path}: {where}{key} is unknown{nearest(key, known)}")
        # TOML writes 2 for 2.0; Python counts true among the integers.
        fitting = (int, float) if known[key] is float else known[key]
        if not isinstance(value, fitting) or (isinstance(value, bool) and known[key] is not bool):
            raise UserError(f"{path}: {where}{key} is {value!r}; it must be of type {known[key].__name__}.")
