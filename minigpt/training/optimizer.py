"""The optimizer and its schedule: Muon for matrices, AdamW for the rest, one rate that warms up and decays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..config import TrainingConfig


class Optimizer:
    """One or two of torch's optimizers, stepped together.

    Muon orthogonalises the momentum of a matrix before it steps (Jordan et al. 2024); it is made for the hidden
    matrices. Embeddings, norms and biases take AdamW. `optimizer = "adamw"` takes AdamW for all.
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer], clip: float) -> None:
        self.parts = list(parts)
        self.parameters = [p for part in parts for group in part.param_groups for p in group["params"]]
        self.heights = [[group["lr"] for group in part.param_groups] for part in self.parts]
        self.max_grad_norm = clip

    @classmethod
    def for_training(cls, model: nn.Module, config: TrainingConfig) -> Optimizer:
        """The Trainer's: Muon and AdamW, or AdamW alone."""
        inside: list[nn.Parameter] = []
        rest: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            matrix = parameter.ndim == 2 and ".layers." in f".{name}"
            (inside if matrix else rest).append(parameter)
        parts: list[torch.optim.Optimizer] = []
        adamw: dict[str, Any] = dict(lr=config.lr, betas=(0.9, 0.95), eps=config.epsilon)
        if config.optimizer == "muon":
            parts.append(torch.optim.Muon(inside, lr=config.matrix_lr, weight_decay=config.weight_decay))
            parts.append(torch.optim.AdamW(rest, weight_decay=0.0, **adamw))
        else:
            groups = [{"params": inside, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
            parts.append(torch.optim.AdamW(groups, **adamw))
        return cls(parts, config.max_grad_norm)

    def step(self, rate: float) -> float:
        """One step at `rate` times the configured learning rates; returns the gradient's length before clipping."""
        length = nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm)
        for part, heights in zip(self.parts, self.heights, strict=True):
            for group, height in zip(part.param_groups, heights, strict=True):
                group["lr"] = height * rate
            part.step()
            part.zero_grad(set_to_none=True)
        return float(length)

    def tensors(self) -> dict[str, Tensor]:
        """All state by name, `part.parameter.key`, for a checkpoint."""
        return {
            f"{i}.{parameter}.{key}": value
            for i, part in enumerate(self.parts)
            for parameter, state in part.state_dict()["state"].items()
            for key, value in state.items()
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        for i, part in enumerate(self.parts):
            whole = part.state_dict()
            whole["state"] = {}
            for name, value in tensors.items():
                index, parameter, key = name.split(".")
                if int(index) == i:
                    whole["state"].setdefault(int(parameter), {})[key] = value
            part.load_state_dict(whole)


def rate_at(step: int, progress: float, config: TrainingConfig) -> float:
    """The learning rate as a share of its height: up over the warm-up steps, flat, then down in a line to zero.

    `progress` is the part of the run that is over, 0 to 1 (Hu et al. 2024, MiniCPM, section 4: warm-up, stable, decay).
    """
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    return warmup * min(1.0, max(0.0, 1 - progress) / config.decay)
