"""What machine is this? The only file that asks: device, precision, seeds, processes of a torchrun."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import UserError

T = TypeVar("T")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Runtime:
    """The machine that a run uses. `rank` of `world` processes; only rank 0 prints and writes."""

    device: torch.device
    dtype: torch.dtype
    rank: int = 0
    world: int = 1

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def autocast(self) -> AbstractContextManager[object]:
        """Matrix products in the runtime's precision; weights and their updates stay in float32."""
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def compiled(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """The same function by torch.compile; where that cannot work (no C++ compiler), it runs as it is."""
        torch._dynamo.config.suppress_errors = True
        return torch.compile(function)

    def sum(self, values: list[float]) -> list[float]:
        """Each value summed over all processes."""
        if self.world == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def sum_gradients(self, parameters: list[torch.nn.Parameter]) -> None:
        """Add up the gradients of all processes, so that each of them takes the same step."""
        if self.world == 1:
            return
        work = [dist.all_reduce(p.grad, async_op=True) for p in parameters if p.grad is not None]
        for reduction in work:
            reduction.wait()

    def share(self, count: int) -> slice:
        """This process's part of `count` rows; the parts of all processes, one after the other, are the whole."""
        return slice(count * self.rank // self.world, count * (self.rank + 1) // self.world)

    def gather(self, items: list[T]) -> list[T]:
        """The lists of all processes, one after the other."""
        if self.world == 1:
            return items
        parts: list[list[T]] = [[] for _ in range(self.world)]
        dist.all_gather_object(parts, items)
        return [item for part in parts for item in part]

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Sum each tensor over all processes, in place."""
        if self.world > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def agree(self, value: float) -> float:
        """Rank 0's value, on every process: clocks differ, and the processes must stop at the same step."""
        return self.sum([value if self.is_main else 0.0])[0]

    def describe(self) -> str:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else platform.machine()
        precision = next(key for key, dtype in DTYPES.items() if dtype == self.dtype)
        processes = f", {self.world} processes" if self.world > 1 else ""
        return f"{self.device.type} ({name}, {torch.get_num_threads()} threads), {precision}{processes}"


def detect(device: str = "auto", dtype: str = "auto") -> Runtime:
    """Choose device and precision, or check the ones asked for; join the torchrun that started us, if one did.

    bf16 is chosen where the hardware multiplies it faster than fp32: on recent NVIDIA chips, and on CPUs with
    AMX. CPUs without AMX are slower at bf16 than at fp32.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("--device cuda: PyTorch sees no CUDA device here; use --device cpu.")
    if device == "mps" and not torch.backends.mps.is_available():
        raise UserError("--device mps: PyTorch sees no Apple GPU here; use --device cpu.")
    world, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", device):
        raise UserError(f"--device {device} is unknown; use auto, cpu, cuda or mps.")
    chosen = torch.device(device)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise UserError(f"--device {device}: there are only {torch.cuda.device_count()} CUDA devices here.")
    if chosen.type == "cuda" and world > 1:
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    if world > 1 and not dist.is_initialized():
        # Defaults of this module's functions hold the process group of the moment when it is first imported, which
        # optimizers do. A group held so outlives `leave_processes`, and its threads then meet an interpreter that is
        # gone: "terminate called without an active exception". Imported before there is a group, they hold none.
        importlib.import_module("torch.distributed.nn.functional")
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    if dtype == "auto":
        dtype = "bf16" if _fast_bf16(chosen) else "fp32"
    if dtype == "fp16":
        raise UserError("--dtype fp16 overflows in training; use bf16, which is as fast and has fp32's range, or fp32.")
    if dtype not in DTYPES:
        raise UserError(f"--dtype {dtype} is unknown; use auto, {', '.join(DTYPES)}.")
    return Runtime(chosen, DTYPES[dtype], rank, world)


def _fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16", False)


def seed_everything(*numbers: int) -> None:
    """Seed every generator from these numbers, e.g. (seed, step, rank): a resumed run draws as the first would have."""
    sequence = np.random.SeedSequence(numbers)
    seed = int(sequence.generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextlib.contextmanager
def leave_processes() -> Iterator[None]:
    """Say goodbye to the other processes of a torchrun at the end, also after an error."""
    try:
        yield
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
