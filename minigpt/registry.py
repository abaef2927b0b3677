"""The model folders: which there are, which one to talk to, where each comes from, and whether its file is whole.

    minigpt models list
    minigpt models show tinytown/ppo

A model's name is RECIPE/STAGE, the last two folders of its path. `minigpt models` leaves with exit code 1 if a file is
not the one that its card vouches for; such a model is not loaded by anything here.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import cli
from .errors import UserError, nearest
from .files import friendly_disk_errors
from .model.checkpoint import CARD, PREVIOUS, WEIGHTS, file_hash, read_card
from .training.run_state import METRICS, STATE

MODELS = Path("trained_models")
SHIPPED = "shipped"  # the folder in it with the models that come with minigpt; where recipes have theirs
_PACKED = Path(__file__).parent / SHIPPED  # where a wheel has put them
#: The models that come with minigpt, whatever folder one stands in.
SHIPPED_MODELS = _PACKED if _PACKED.is_dir() else Path(__file__).parents[1] / MODELS / SHIPPED
CHAT_STAGES = ("ppo", "dpo", "sft")  # the stages whose models answer, the most trained first
SOUND, UNFINISHED, CHANGED, MISSING, UNVOUCHED = "sound", "unfinished", "CHANGED", "no weights", "no hash"
HEADLINES = ("accuracy", "reward", "loss")  # the figure that says most of a stage, where there are several


@dataclass(frozen=True)
class Model:
    """A model folder. `name` is RECIPE/STAGE; `saved` says when the card was written, in ns, and its size: another pair
    once the model was trained anew. `card` is empty where it cannot be read, and `problem` then says why."""

    name: str
    folder: Path
    card: Mapping[str, Any]
    saved: tuple[int, int] = (0, 0)
    problem: str = ""

    @property
    def recipe(self) -> str:
        """The recipe's folder; the card may name another one, whose run was copied here."""
        return self.name.split("/")[0]

    @property
    def stage(self) -> str:
        return str(self.card.get("stage", "pretrain"))

    @property
    def finished(self) -> bool:
        return bool(self.card.get("finished"))

    @property
    def replaced(self) -> bool:
        """Whether a later run has taken its place; it is kept, and nothing chooses it by itself."""
        return self.name.endswith(PREVIOUS)

    @property
    def writes(self) -> bool:
        """Whether it writes text; a reward model only reads."""
        return self.stage != "reward"

    @property
    def hashes(self) -> set[str]:
        """What other cards may call this model: its own hash, and that of the model it is a smaller copy of."""
        return {self.card[key] for key in ("sha256", "made_from") if key in self.card}

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())

    def state(self) -> str:
        """Whether it can be used. Reads the whole file, to compare its SHA-256 with the card's."""
        weights = self.folder / WEIGHTS
        if not weights.is_file():
            return UNFINISHED if (self.folder / STATE).is_file() else MISSING
        if "sha256" not in self.card:
            return UNVOUCHED
        if file_hash(weights) != self.card["sha256"]:
            return CHANGED
        return SOUND if self.finished else UNFINISHED

    def headline(self) -> str:
        """The figure that sums up what was measured on held-out data."""
        metrics = self.card.get("metrics") or {}
        name = next((name for name in HEADLINES if isinstance(metrics.get(name), int | float)), None)
        return f"{name} {metrics[name]:.3f}" if name else ""


def unpack_shipped(models: Path = MODELS) -> None:
    """Copy the models that come with minigpt into `models`, if they are not there: outside of a clone, what is trained
    here and voted on then stands beside them too. Raises UserError where that folder cannot be written."""
    place = models / SHIPPED
    if place.exists() or not SHIPPED_MODELS.is_dir():
        return
    with friendly_disk_errors(place):
        models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=models) as half:
            copied = Path(shutil.copytree(SHIPPED_MODELS, Path(half) / SHIPPED))
            try:
                copied.rename(place)
            except OSError:
                if not place.is_dir():  # else somebody else was faster
                    raise


def read_model(name: str, folder: Path) -> Model:
    """The model in `folder`, whatever state that is in. Never raises."""
    try:
        status = (folder / CARD).stat()
        card = read_card(folder)
    except FileNotFoundError:
        return Model(name, folder, {})
    except (UserError, OSError) as error:
        return Model(name, folder, {}, problem=str(error))
    return Model(name, folder, card if isinstance(card, dict) else {}, (status.st_mtime_ns, status.st_size))


def model_names(folder: Path = MODELS) -> list[str]:
    """RECIPE/STAGE of every folder below `folder` in which a run has left something."""
    places = {path.parent for mark in (CARD, WEIGHTS, STATE, METRICS) for path in folder.glob(f"*/*/{mark}")}
    return sorted(f"{place.parent.name}/{place.name}" for place in places)


def find_models(folder: Path = MODELS) -> dict[str, Model]:
    """The model folders below `folder`, finished or not, by name; none if there is no such folder."""
    return {name: read_model(name, folder / name) for name in model_names(folder)}


def default_model(models: Iterable[Model]) -> Model | None:
    """The model to talk to if none is named: the newest that was trained here to answer, else the shipped one, else
    any that writes. None if there is none."""
    usable = [model for model in models if model.finished and model.writes and not model.replaced]
    answering = [model for model in usable if model.stage in CHAT_STAGES and model.name.split("/")[1] == model.stage]
    if own := [model for model in answering if model.recipe != SHIPPED]:
        return max(own, key=lambda model: model.saved)
    answering.sort(key=lambda model: CHAT_STAGES.index(model.stage))
    return next(iter([*answering, *usable]), None)


def stages_of(recipe: str, folder: Path = MODELS) -> list[Model]:
    """The finished models of a recipe that write, by name, but for those that a later run has replaced."""
    found = [model for model in find_models(folder).values() if model.recipe == recipe]
    return [model for model in found if model.finished and model.writes and not model.replaced]


def origin(model: Model, models: Mapping[str, Model], key: str = "parent") -> str:
    """The name of the model that a model started from (or of its `reward` model): its neighbour rather than a copy
    elsewhere. The first digits of its hash if it is no longer here; empty if there was none."""
    wanted = model.card.get(key)
    if not wanted:
        return ""
    # A run that changed nothing has its parent's hash.
    found = [other for other in models.values() if wanted in other.hashes and other.name != model.name]
    if not found:
        return str(wanted)[:12]
    return min(found, key=lambda other: (other.folder.parent != model.folder.parent, other.name)).name


def ancestry(model: Model, models: Mapping[str, Model]) -> list[str]:
    """The model's name, and before it those of the models that it descends from, the first one first."""
    names = [model.name]
    while (before := origin(models[names[0]], models) if names[0] in models else "") and before not in names:
        names.insert(0, before)
    return names


def list_models(models: Mapping[str, Model]) -> int:
    """A table, a line for each model."""
    rows = [("name", "recipe", "from", "MB", "minutes", "held out", "file")]
    for model in models.values():
        minutes = model.card.get("minutes")
        rows.append((
            model.name, str(model.card.get("recipe", "")), origin(model, models), f"{model.size / 1e6:.1f}",
            f"{minutes:.1f}" if isinstance(minutes, int | float) else "", model.headline(), model.state(),
        ))  # fmt: skip
    print(table(rows))
    changed = [row[0] for row in rows if row[-1] == CHANGED]
    if changed:
        print(f"\n{', '.join(changed)}: {WEIGHTS} is not the file that {CARD} vouches for; it will not be loaded.")
    return 1 if changed else 0


def show_model(model: Model, models: Mapping[str, Model]) -> int:
    """Everything that the card says, a line each."""
    state = model.state()
    facts = {
        "folder": str(model.folder),
        "file": f"{state}, {model.size / 1e6:.1f} MB",
        "descent": " -> ".join(ancestry(model, models)),
        "reward": origin(model, models, "reward"),
    }
    rows = [(name, value) for name, value in facts.items() if value]
    rows += list(flat({name: value for name, value in model.card.items() if name not in ("parent", "reward")}))
    print(table(rows))
    return 1 if state == CHANGED else 0


def flat(card: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The entries of a card with dotted names; curves and tables, which are for programs, are left out."""
    for name, value in card.items():
        values = value if isinstance(value, list) else [value]
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        elif not any(item is None or isinstance(item, dict | list) for item in values):
            yield f"{prefix}{name}", ", ".join(map(str, values))


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def main() -> int:
    parser = cli.Parser(prog="minigpt models", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="all models, a line each")
    showing = commands.add_parser("show", help="one model's card and descent")
    showing.add_argument("name", metavar="RECIPE/STAGE")
    for command in (listing, showing):
        command.add_argument("--models", type=Path, default=MODELS, help=f"folder of the models (default {MODELS})")
    arguments: argparse.Namespace = parser.parse_args()
    if not arguments.models.is_dir():
        raise UserError(f"{arguments.models} does not exist; run_pretrain.py makes it, and --models names another.")
    models = find_models(arguments.models)
    if arguments.command == "list":
        return list_models(models)
    name = arguments.name.removeprefix(f"{arguments.models}/").rstrip("/")
    if name not in models:
        known = ", ".join(models) or "none"
        raise UserError(f"there is no model {name!r} in {arguments.models}{nearest(name, models)}; there are {known}.")
    return show_model(models[name], models)
