"""What a run leaves behind while it goes on: the state that resuming needs, and the log that curves are drawn from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..errors import UserError
from ..files import friendly_disk_errors, write_atomically
from .optimizer import Optimizer

STATE, METRICS, SAMPLES = "training_state.safetensors", "metrics.jsonl", "samples.jsonl"


@dataclass
class RunState:
    """Where a run stands: a subclass adds its counters. One file holds it all, so a save is whole or did not happen."""

    elapsed: float = 0.0
    evaluations: int = 0
    best: dict[str, Tensor] | None = None

    @staticmethod
    def exists(folder: Path) -> bool:
        return (folder / STATE).is_file()

    @staticmethod
    def remove(folder: Path) -> None:
        (folder / STATE).unlink(missing_ok=True)

    def save(self, folder: Path, model: nn.Module, optimizer: Optimizer, fingerprint: dict[str, Any]) -> None:
        """Write weights, optimizer state and counters in full float32 precision."""
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        tensors |= {f"optimizer.{name}": value for name, value in optimizer.tensors().items()}
        tensors |= {f"best.{name}": value for name, value in (self.best or {}).items()}
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        counters = {name: value for name, value in vars(self).items() if name != "best"}
        metadata = {"counters": json.dumps(counters), "fingerprint": json.dumps(fingerprint)}
        write_atomically(folder / STATE, save(tensors, metadata))

    @classmethod
    def load(cls, folder: Path, model: nn.Module, optimizer: Optimizer, fingerprint: dict[str, Any]) -> Self:
        """Put a saved run's weights and optimizer state back; raises UserError if the settings are not the same."""
        path = folder / STATE
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                # Copies, as tensors of an open file would keep it open, and Windows replaces no open file.
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            saved, counters = json.loads(metadata["fingerprint"]), json.loads(metadata["counters"])
        except (SafetensorError, KeyError, json.JSONDecodeError):
            raise UserError(f"{path} is damaged; start the run over with --restart.") from None
        if changed := _differences(saved, json.loads(json.dumps(fingerprint))):
            raise UserError(
                f"{folder} holds an unfinished run with other settings ({', '.join(changed)});"
                " repeat them to resume, or start over with --restart."
            )
        model.load_state_dict(_below("model", tensors))
        optimizer.load(_below("optimizer", tensors))
        return cls(**counters, best=_below("best", tensors) or None)

    def keep_best(self, model: nn.Module) -> None:
        """The weights as they are now are the best so far."""
        self.best = {name: value.detach().clone() for name, value in model.state_dict().items()}


def saved_fingerprint(folder: Path) -> dict[str, Any]:
    """What the unfinished run in a folder says must not change (see `RunState.save`); empty if it cannot be read."""
    try:
        with safe_open(folder / STATE, "pt") as file:
            found = json.loads((file.metadata() or {})["fingerprint"])
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


@dataclass
class TrainingState(RunState):
    """Where the Trainer stands."""

    step: int = 0
    tokens: int = 0
    valid_loss: float = float("inf")
    best_loss: float = float("inf")
    train_losses: list[float] = field(default_factory=list)
    valid_losses: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.valid_losses = [(int(step), loss) for step, loss in self.valid_losses]  # JSON has no tuples


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


def _differences(saved: dict[str, Any], now: dict[str, Any]) -> list[str]:
    changed = []
    for key in now:
        a, b = saved.get(key), now[key]
        if isinstance(a, dict) and isinstance(b, dict):
            changed += [f"{name} was {a.get(name)}, is {b[name]}" for name in b if a.get(name) != b[name]]
        elif a != b:
            changed.append(f"{key} was {a}, is {b}")
    return changed


class RunLog:
    """metrics.jsonl, one line per step or validation, and samples.jsonl, what the model wrote at each validation.

    Without a folder nothing is written.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def metrics(self, row: dict[str, Any]) -> None:
        """One line of numbers; it has a "step", and "valid" if it tells of a validation."""
        self._append(METRICS, row)

    def samples(self, step: int, samples: Sequence[dict[str, Any]]) -> None:
        for sample in samples:
            self._append(SAMPLES, {"step": step, **sample})

    def start(self) -> None:
        """Empty both files."""
        self._keep(lambda row: False)

    def rewind(self, step: int) -> None:
        """Forget what was logged after the save at `step`: the resumed run will log it again.

        A validation and its samples come after the save of the same step.
        """
        self._keep(lambda row: row["step"] < step or (row["step"] == step and not {"valid", "prompt"} & row.keys()))

    def _append(self, name: str, row: dict[str, Any]) -> None:
        if self.folder is None:
            return
        with friendly_disk_errors(self.folder / name):
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    def _keep(self, wanted: Any) -> None:
        if self.folder is None:
            return
        for path in (self.folder / METRICS, self.folder / SAMPLES):
            if path.is_file():
                kept = [line for row, line in read_log(path) if wanted(row)]
                write_atomically(path, "".join(kept))


def read_log(path: Path) -> list[tuple[dict[str, Any], str]]:
    """(row, line) of a log file; a last line that a crash cut short is left out, and a missing file is an empty one."""
    rows: list[tuple[dict[str, Any], str]] = []
    if not path.is_file():
        return rows
    for line in path.read_bytes().split(b"\n"):
        try:
            rows.append((json.loads(line), line.decode("utf-8") + "\n"))
        except ValueError:
            continue
    return rows


def of_how_many(some: int, total: int) -> str:
    """`64 of 812`, or `all 40`."""
    return f"{some:,} of {total:,}" if some < total else f"all {total:,}"
