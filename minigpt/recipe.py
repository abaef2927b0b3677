"""A recipe: one readable TOML file that names, for each stage, the corpus and the settings."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from .config import DPOConfig, PPOConfig, RewardConfig, TrainingConfig, former_names, former_values
from .data.catalogue import CATALOGUE, corpora_dir, find, load_catalogue
from .data.formats import FORMATS, CorpusLoader, Document
from .data.source import read_toml, readable
from .errors import UserError, nearest
from .tinytown import ensure_corpora
from .tinytown.graders import GRADERS, Grader

RECIPES = Path(__file__).parent / "recipes"
TINYTOWN = Path("corpora") / "tinytown"  # made here, also where the other corpora come from a read-only folder
#: The stages in their order, and the settings that each of them has.
STAGES: dict[str, type] = {
    "pretrain": TrainingConfig,
    "sft": TrainingConfig,
    "reward": RewardConfig,
    "ppo": PPOConfig,
    "dpo": DPOConfig,
}
MODEL_SETTINGS = {"title": str, "depth": int, "context": int, "vocab_size": int, "characters": bool,
                  "architecture": str, "dropout": float, "grader": str, "inherit": bool}  # fmt: skip
#: What a stage may say about a corpus of any format: the share to hold out where the publisher holds out nothing, and
#: whether faulty rows are only counted.
READING: dict[str, type] = {"valid_fraction": float, "skip_bad_rows": bool}
#: What says how long a stage is; a later word takes the place of an earlier one, whatever that counts in.
LIMITS = ("minutes", "steps", "epochs")
#: Text enough to learn a vocabulary from; more only takes longer.
TOKENIZER_CHARACTERS = 10_000_000


@dataclass(frozen=True)
class Recipe:
    """What a recipe file says. `model` holds the settings above the first stage, `stages` those of each stage. Paths of
    corpora are sought in `folder`, where the file is, then in the working folder. With `skip_bad_rows` all its corpora
    are read so, whatever the stages say."""

    name: str
    model: dict[str, Any]
    stages: dict[str, dict[str, Any]]
    folder: Path | None = None
    skip_bad_rows: bool = False

    @property
    def title(self) -> str:
        return self.model.get("title", self.name)

    def grader(self) -> Grader | None:
        """What marks the answers, if the recipe's world is an invented one."""
        return GRADERS[self.model["grader"]]() if "grader" in self.model else None

    def need_grader(self) -> Grader:
        """The grader. Raises UserError where the recipe names none."""
        grader = self.grader()
        if grader is None:
            raise UserError(f"the recipe {self.name} names no grader, so nobody knows how good an answer is.")
        return grader

    @property
    def about_town(self) -> bool:
        """Whether its chats are about the facts of Tinytown, so that the knowledge evaluation makes sense."""
        return self.model.get("grader") == "town"

    @property
    def answer_length(self) -> int:
        """The most tokens that an answer may have."""
        return self.stages.get("ppo", {}).get("max_new_tokens", PPOConfig.max_new_tokens)

    def settings(self, stage: str) -> dict[str, Any]:
        """The fields of a stage's settings that the recipe sets."""
        values = self.stages.get(stage, {})
        return {k: v for k, v in values.items() if k not in _about_corpus(values)}

    @property
    def inherits(self) -> bool:
        """Whether it leaves something to the recipe of the model that its stages start from."""
        return bool(self.model.get("inherit"))

    def inheriting(self, base: Recipe) -> Recipe:
        """This recipe, with what it leaves out taken from `base`. A stage with a corpus of its own is read in its own
        way, too."""
        stages = {}
        for stage, values in self.stages.items():
            source = values if "corpus" in values else base.source(stage)
            about = {key: source[key] for key in _about_corpus(source) & source.keys()}
            if source and source is not values and base.folder and (near := base.folder / source["corpus"]).exists():
                about["corpus"] = str(near)
            stages[stage] = about | override(base.settings(stage), self.settings(stage))
        return replace(self, model=base.model | self.model, stages=stages)

    def open_corpus(
        self, stage: str, corpora: str | None = None, corpus: str | None = None, layout: str | None = None
    ) -> CorpusLoader:
        """Read a stage's corpus, from `corpora` if it is there. `corpus`, a name or path, takes the place of the
        recipe's, and `layout`, a name in `FORMATS`, that of its format."""
        source = self.source(stage)
        if not (layout or source):
            raise UserError(f"the recipe {self.name} does not say how to read {corpus}; add --format.")
        loader = FORMATS[layout or source["format"]]
        options = {k: v for k, v in source.items() if k in READING | loader.options}
        if self.skip_bad_rows:
            options["skip_bad_rows"] = True
        place = locate(corpus, corpora) if corpus else locate(source["corpus"], corpora, self.folder)
        return loader.read(place, **options)

    def source(self, stage: str) -> dict[str, Any]:
        """What says where a stage's corpus is: the stage itself, or, for PPO without one, the dialogues of [sft], whose
        questions it can train on. Empty if the recipe has neither."""
        values = self.stages.get(stage, {})
        if "corpus" in values:
            return values
        return self.stages.get("sft", {}) if stage == "ppo" else {}

    def tokenizer_texts(self, corpora: str | None = None, first: CorpusLoader | None = None) -> list[str]:
        """The text that the recipe's tokenizer learns from: some of the first two stages', taken evenly."""
        texts: list[str] = []
        stages = [stage for stage in self.stages if stage in ("pretrain", "sft")]
        for i, stage in enumerate(stages):
            loader = first if first is not None and i == 0 else self.open_corpus(stage, corpora)
            texts += sample_evenly(texts_of(loader.train), TOKENIZER_CHARACTERS // len(stages))
        return texts


def load_recipe(name: str, skip_bad_rows: bool = False) -> Recipe:
    """The recipe of that name, or the one in that file. Raises UserError naming the file and what is wrong in it."""
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    with readable(name):
        there = path.is_file()
    if not there:
        known = sorted(file.stem for file in RECIPES.glob("*.toml"))
        raise UserError(
            f"there is no recipe {name!r}{nearest(name, known)}; choose {', '.join(known)} or a .toml file."
        )
    content = read_toml(path)
    stages = {key: value for key, value in content.items() if isinstance(value, dict)}
    model = {key: value for key, value in content.items() if not isinstance(value, dict)}
    model = _renamed(path, "", model, {"truth": "grader"})
    stages = {
        stage: _renamed(path, f"[{stage}] ", values, former_names(STAGES[stage])) if stage in STAGES else values
        for stage, values in stages.items()
    }
    _check_keys(path, "", model, MODEL_SETTINGS)
    _check_keys(path, "", stages, dict.fromkeys(STAGES, dict))
    _check_name(path, "grader", model.get("grader", "town"), GRADERS)
    for stage, values in stages.items():
        settings = {"corpus": str, "format": str} | {f.name: type(f.default) for f in fields(STAGES[stage])}
        settings |= reading(values["format"]) if str(values.get("format")) in FORMATS else READING
        _check_keys(path, f"[{stage}] ", values, settings)
        for (setting, former), now in former_values(STAGES[stage]).items():
            if values.get(setting) == former:
                values[setting] = now
        if model.get("inherit") and not {"corpus", "format"} & values.keys():
            continue
        for needed in ("corpus", "format"):
            if needed not in values:
                raise UserError(f"{path}: [{stage}] lacks {needed}.")
        _check_name(path, f"[{stage}] format", values["format"], FORMATS)
        _check_path(path, f"[{stage}] corpus", values["corpus"])
    return Recipe(path.stem, model, stages, path.parent if name.endswith(".toml") else None, skip_bad_rows)


def override(settings: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """The settings, with what is `wanted` in place of what they say."""
    if not wanted.keys().isdisjoint(LIMITS):
        settings = {key: value for key, value in settings.items() if key not in LIMITS}
    return settings | wanted


def _about_corpus(values: dict[str, Any]) -> set[str]:
    """The keys of a stage that say which corpus it has and how that is read."""
    return {"corpus", "format", *(reading(values["format"]) if "format" in values else ())}


def reading(layout: str) -> dict[str, type]:
    """What a stage may say about the reading of its corpus, and of which type it is."""
    return READING | FORMATS[layout].options


def locate(corpus: str, corpora: str | None = None, folder: Path | None = None) -> Path:
    """Where a corpus lies: Tinytown (written now if need be), a path from `folder` or the working folder, or a name
    from the catalogue. Raises UserError where there is nothing of that name."""
    if corpus.split("/")[0] == "tinytown":
        return ensure_corpora(TINYTOWN) / Path(corpus).relative_to("tinytown")
    with readable(corpus):
        path = Path(corpus).expanduser()
        places = [path] if folder is None or path.is_absolute() else [folder / path, path]
        found = next((place for place in places if place.exists()), None)
    if found is not None:
        return found
    catalogue = load_catalogue() if CATALOGUE.is_file() else {}
    if corpus in catalogue:
        return find(corpus, corpora_dir(corpora))
    where = " and ".join(dict.fromkeys(str(place.absolute()) for place in places))
    raise UserError(
        f"{corpus} does not exist: there is no such file or folder ({where}), and no corpus of that name in the "
        f"catalogue{nearest(corpus, catalogue)}."
    )


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


def _belongs(key: str, where: str) -> str:
    """In which tables of a recipe an option belongs that stands in the wrong one; nothing if in none."""
    if key in MODEL_SETTINGS and where:
        return "; it belongs above the first [table]."
    if key in STAGES:
        return f"; a stage is a table: write its settings under a line [{key}]."
    settings = {stage: {"corpus", "format", *READING, *(f.name for f in fields(STAGES[stage]))} for stage in STAGES}
    if tables := [f"[{stage}]" for stage, names in settings.items() if key in names]:
        return f"; it belongs under {' or '.join(tables)}."
    formats = [f'"{name}"' for name, loader in FORMATS.items() if key in loader.options]
    return f"; it belongs where the format is {' or '.join(formats)}." if formats else ""


def _check_path(path: Path, what: str, corpus: str) -> None:
    """Raises UserError where TOML took the backslashes of a Windows path for something else: a tab, a line end, …"""
    if re.search(r"[\x00-\x1f]", corpus):
        raise UserError(f"{path}: {what} is {corpus!r}; in paths write / for \\, or put them between '...'.")


def _check_name(path: Path, what: str, name: str, known: Iterable[str]) -> None:
    if name not in (names := list(known)):
        raise UserError(f"{path}: {what} {name!r} is unknown{nearest(name, names)}; choose {', '.join(names)}.")


def _renamed(path: Path, where: str, values: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The values under the names that their settings have today."""
    for former in names.keys() & values.keys():
        print(f"{path}: {where}{former} is now called {names[former]}.", file=sys.stderr)
    return {names.get(name, name): value for name, value in values.items()}


def _check_keys(path: Path, where: str, found: dict[str, Any], known: dict[str, type]) -> None:
    for key, value in found.items():
        if key not in known:
            raise UserError(f"{path}: {where}{key} is unknown{_belongs(key, where) or nearest(key, known) or '.'}")
        # TOML writes 2 for 2.0; Python counts true among the integers.
        fitting = (int, float) if known[key] is float else known[key]
        if not isinstance(value, fitting) or (isinstance(value, bool) and known[key] is not bool):
            raise UserError(f"{path}: {where}{key} is {value!r}; it must be of type {known[key].__name__}.")
