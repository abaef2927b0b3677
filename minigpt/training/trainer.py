"""Trainer: the one loop behind pre-training, fine-tuning and the reward model.

A run of so many steps is a function of its settings: which rows a step reads, and what dropout draws, follow from
(seed, step). So one that is stopped, even by kill -9, and resumed ends in the same weights as one that never was: bit
for bit on a CPU. A run of so many minutes also depends on the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from tqdm import tqdm

from ..config import TrainingConfig
from ..errors import UserError
from .device import Runtime, seed_everything
from .interrupt import stop_between_steps
from .objective import Batch, Objective, Rows, Scores, Table
from .optimizer import Optimizer, rate_at
from .run_state import RunLog, TrainingState, of_how_many

CPU_TOKENS = 2048  # a forward pass of about this many tokens stays in a CPU's caches


class TrainingResult(NamedTuple):
    """What `Trainer.train` returns: the best model, the loss of every step, and (step, loss) of every validation."""

    model: nn.Module
    record_train_loss: list[float]
    record_valid_loss: list[tuple[int, float]]


class Trainer:
    """Trains an objective's model on its rows.

    With a `folder`, the run writes there `metrics.jsonl`, what resuming needs, and (through `save`, which gets the
    run's card) the best model so far. `sample` shows what the model writes at each validation. `origin` names the
    weights that the run starts from: it is resumed only from the same ones.
    """

    def __init__(
        self,
        objective: Objective,
        config: TrainingConfig,
        runtime: Runtime,
        *,
        folder: Path | None = None,
        save: Callable[[dict[str, Any]], None] | None = None,
        sample: Callable[[], list[dict[str, str]]] | None = None,
        origin: str = "",
    ) -> None:
        self.objective, self.config, self.runtime = objective, config, runtime
        self.model = objective.model.to(runtime.device)
        self.folder, self.save_model, self.sample, self.origin = folder, save, sample, origin
        self.rows: Rows = objective.rows
        self.optimizer = Optimizer.for_training(self.model, config)
        self.rows_per_epoch = len(self.rows.epoch(0, config.seed))
        if not self.rows_per_epoch:
            raise UserError("the corpus is too small for a single row of training; give more text.")
        per_step = min(config.batch_size, self.rows_per_epoch)
        self.steps_per_epoch = self.rows_per_epoch // per_step
        self.total_steps = config.steps or max(1, round(config.epochs * self.steps_per_epoch))
        self.micro_batch = config.micro_batch or (
            max(1, CPU_TOKENS // objective.chat.context) if runtime.device.type == "cpu" else config.batch_size
        )
        self.state = TrainingState()
        self.saved_step = 0
        self.log = RunLog(folder if runtime.is_main else None)
        self.scores: Scores | None = None  # of the best model on all validation rows, once training is over
        self._epoch_rows: tuple[int, Table] | None = None

    def resume(self) -> bool:
        """Take up an unfinished run in `folder`; False if there is none."""
        if self.folder is None or not TrainingState.exists(self.folder):
            return False
        self.state = TrainingState.load(self.folder, self.model, self.optimizer, self.fingerprint())
        self.log.rewind(self.state.step)
        self.saved_step = self.state.step
        return True

    def fingerprint(self) -> dict[str, Any]:
        """What must not change between the parts of a resumed run."""
        return {
            "training": asdict(self.config),
            "model": asdict(self.objective.chat.gpt.config),
            "tokenizer": self.objective.chat.tokenizer.fingerprint(),
            "tokens": self.rows.token_count,
            "origin": self.origin,
        }

    def train(self) -> TrainingResult:
        """Train to the end of the schedule. Ctrl-C finishes the step, saves, and raises KeyboardInterrupt."""
        config, state = self.config, self.state
        started = time.monotonic() - state.elapsed
        self.model.train()
        bar = tqdm(
            total=100 if config.minutes else self.total_steps,
            initial=0 if config.minutes else state.step,
            unit="%" if config.minutes else "step",
            disable=not self.runtime.is_main,
            dynamic_ncols=True,
        )
        with bar, stop_between_steps() as stop_asked:
            while True:
                state.elapsed = self.runtime.agree(time.monotonic() - started)
                progress = self.progress()
                if progress >= 1:
                    self.save_state()  # before the last validation, which a resumed run then logs again
                if progress * config.evaluations >= state.evaluations:
                    self.validate(bar)
                if progress >= 1:
                    break
                tokens_before, clock = state.tokens, time.monotonic()
                loss = self.step(progress)
                speed = (state.tokens - tokens_before) / max(1e-9, time.monotonic() - clock)
                self.log.metrics(self.here() | {
                    "train_loss": loss,
                    "rate": rate_at(state.step - 1, progress, config),
                    "tokens_per_second": round(speed),
                })  # fmt: skip
                bar.set_postfix_str(f"loss {loss:.3f}, {speed:,.0f} tokens/s, valid {state.valid_loss:.3f}")
                bar.update(round(100 * progress) - bar.n if config.minutes else 1)
                stop = self.runtime.agree(stop_asked())
                if stop or state.step % config.save_every == 0:
                    self.save_state()
                if stop:
                    raise KeyboardInterrupt
        if state.best is not None:
            self.model.load_state_dict(state.best)
        self.scores = self.evaluate(final=True)
        self.objective.finish()
        self.save(self.scores, finished=True)
        if self.folder is not None and self.runtime.is_main:
            TrainingState.remove(self.folder)
        return TrainingResult(self.model, state.train_losses, state.valid_losses)

    def progress(self) -> float:
        """The part of the run that is over, by the clock or by steps."""
        if self.config.minutes:
            return min(1.0, self.state.elapsed / (60 * self.config.minutes))
        return self.state.step / self.total_steps

    def step(self, progress: float) -> float:
        """One optimizer step over a global batch; returns its loss per counted token.

        Every process sees the whole batch's size and computes its share. Losses are summed and divided once, by
        the batch's count of targets: a mean of means would weigh short rows more than long ones.
        """
        config, state, runtime = self.config, self.state, self.runtime
        seed_everything(config.seed, state.step, runtime.rank)
        batch = self.global_batch(state.step)
        count = batch.num_targets()
        mine = batch.rows(slice(runtime.rank, None, runtime.world)).to(runtime.device)
        share = len(mine.inputs)
        total = 0.0
        for start in range(0, share, self.micro_batch):
            micro = mine.rows(slice(start, start + self.micro_batch))
            with runtime.autocast():
                loss = self.objective.loss(micro) / count
            loss.backward()
            total += loss.item()
        if not share:  # a process without rows still takes part in the sum
            for parameter in self.model.parameters():
                parameter.grad = torch.zeros_like(parameter)
        runtime.sum_gradients(list(self.model.parameters()))
        (total,) = runtime.sum([total])
        if total != total:
            raise UserError(f"the loss is NaN at step {state.step}; lower --lr and --matrix-lr.")
        self.optimizer.step(rate_at(state.step, progress, config))
        state.step += 1
        state.tokens += batch.inputs.numel()
        state.train_losses.append(total)
        return total

    def seconds_per_step(self) -> float:
        """About how long a step will take on this machine, from one forward and backward pass."""
        batch = self.global_batch(self.state.step)
        rows = min(self.micro_batch, len(batch.inputs))
        micro = batch.rows(slice(rows)).to(self.runtime.device)
        for _ in range(2):  # the first pass is slow: memory is taken, kernels are chosen
            clock = time.monotonic()
            with self.runtime.autocast():
                loss = self.objective.loss(micro)
            loss.backward()
            loss.item()  # waits for the device, which works behind our back
            seconds = time.monotonic() - clock
        self.model.zero_grad(set_to_none=True)
        return 1.2 * seconds * len(batch.inputs) / rows / self.runtime.world

    def global_batch(self, step: int) -> Batch:
        """The rows of one step. The rows that do not fill a last batch of an epoch are left for the next shuffle."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if self._epoch_rows is None or self._epoch_rows[0] != epoch:
            self._epoch_rows = (epoch, self.rows.epoch(epoch, self.config.seed))
        rows = self._epoch_rows[1]
        size = min(self.config.batch_size, len(rows))
        start = min(index * size, len(rows) - size)
        return rows.batch(start, start + size)

    def validate(self, bar: tqdm[Any]) -> None:
        """Measure on some of the validation rows, keep the best weights so far, write a sample."""
        state, config = self.state, self.config
        state.evaluations = int(self.progress() * config.evaluations) + 1
        scores = self.evaluate(config.evaluation_rows)
        if scores is None:
            return
        state.valid_loss = scores.loss
        state.valid_losses.append((state.step, scores.loss))
        rows = (min(config.evaluation_rows, self.objective.held_out), self.objective.held_out)
        self.log.metrics(self.here() | {"valid": scores.as_dict(), "valid_rows": rows})
        if self.runtime.is_main and self.sample:
            samples = self.sample()
            self.log.samples(state.step, samples)
            shown = "".join(f"\n    {s['prompt']} -> {s['text']}" for s in samples[:1])
            bar.write(f"step {state.step:,}: {scores}, on {of_how_many(*rows)} validation rows{shown}")
        if scores.loss < state.best_loss:
            state.best_loss = scores.loss
            state.keep_best(self.model)
            self.save(scores)

    def here(self) -> dict[str, Any]:
        """How far the run is, for a line of the log."""
        total = {} if self.config.minutes else {"total_steps": self.total_steps}
        return {"step": self.state.step, **total, "tokens": self.state.tokens, "seconds": round(self.state.elapsed, 2)}

    def evaluate(self, limit: int | None = None, final: bool = False) -> Scores | None:
        """Scores of the validation rows, or of `limit` of them; None if the corpus holds out nothing."""
        return self.objective.evaluate(limit, 2 * self.micro_batch, final)

    def save(self, scores: Scores | None, finished: bool = False) -> None:
        if self.save_model and self.runtime.is_main:
            self.save_model(self.card(scores, finished))

    def card(self, scores: Scores | None, finished: bool) -> dict[str, Any]:
        """What the model's card says about this run."""
        state = self.state
        return {
            "finished": finished,
            "steps": state.step,
            "tokens": state.tokens,
            "minutes": round(state.elapsed / 60, 2),
            "training": asdict(self.config),
            "metrics": scores.as_dict() if scores else {},
        }

    def save_state(self) -> None:
        if self.folder is not None and self.runtime.is_main:
            self.state.save(self.folder, self.model, self.optimizer, self.fingerprint())
            self.saved_step = self.state.step
