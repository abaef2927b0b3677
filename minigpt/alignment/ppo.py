"""PPO: sample answers, have them scored, learn from them, again and again. The formulas are in `formulas.py`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..config import PPOConfig
from ..data.examples import Prompt
from ..errors import UserError
from ..model.gpt import evaluating
from ..model.responses import ResponseBatch, token_logprobs
from ..training.device import Runtime
from ..training.interrupt import stop_between_steps
from ..training.optimizer import Optimizer
from ..training.run_state import RunLog, RunState
from . import formulas
from .policy import Policy
from .ppo_metrics import Evaluated, greedy_samples, headline, rollout_metrics
from .rollout import Rollout, Task, draw_prompts, roll_out
from .stop_rules import PolicyStats, reason_for_nothing, reason_to_stop

SHOWN = 8  # held-out prompts whose greedy answers are kept


@dataclass
class PPOState(RunState):
    """Where PPO stands."""

    step: int = 0
    kl_coef: float = 0.0
    best_objective: float = -math.inf
    best_numbers: dict[str, float] | None = None
    best_step: int | None = None
    at_first: dict[str, float] | None = None
    most_ended: float = 0.0
    largest_deviation: float = 0.0


@dataclass(frozen=True)
class Experience:
    """What a policy learns from, [B, R] each: the tokens it wrote, and how much better each was than expected."""

    batch: ResponseBatch
    logprobs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor


class PPOTrainer:
    """Trains `policy` on a task.

    With a `folder`, the run writes there `metrics.jsonl`, `samples.jsonl`, what resuming needs, and (through `save`)
    the best policy so far: the one that earns most on the held-out prompts after its KL penalty.
    """

    def __init__(
        self,
        policy: Policy,
        task: Task,
        config: PPOConfig,
        runtime: Runtime,
        *,
        folder: Path | None = None,
        save: Callable[[dict[str, Any]], None] | None = None,
        origin: str = "",
    ) -> None:
        if not task.prompts:
            raise UserError("there is no prompt to answer; is the corpus empty?")
        if config.minibatch < runtime.world:
            raise UserError(f"--minibatch {config.minibatch} is too small for {runtime.world} processes.")
        self.policy, self.task, self.config, self.runtime = policy.to(runtime.device), task, config, runtime
        task.reference.to(runtime.device).eval().requires_grad_(False)
        self.valid_prompts = task.valid_prompts[: config.evaluation_prompts]
        self.folder, self.save_policy, self.origin = folder, save, origin
        body = {"params": list(policy.model.parameters()), "lr": config.lr}
        head = {"params": list(policy.value_head.parameters()), "lr": config.value_lr}
        # Betas as usual, eps as in the first implementations: small second moments must not make large steps.
        self.optimizer = Optimizer([torch.optim.Adam([body, head], eps=1e-5)], config.max_grad_norm)
        self.kl: formulas.FixedKL | formulas.AdaptiveKL = formulas.FixedKL(config.kl_coef)
        if config.target_kl:
            self.kl = formulas.AdaptiveKL(config.kl_coef, config.target_kl, config.horizon)
        self.state = PPOState(kl_coef=config.kl_coef)
        self.log = RunLog(folder if runtime.is_main else None)
        self.saved_step, self.warning = 0, ""  # the warning, once training is over: why it taught nothing

    def fingerprint(self) -> dict[str, Any]:
        """What must not change between the parts of a resumed run."""
        return {
            "training": asdict(self.config),
            "model": asdict(self.policy.model.config),
            "tokenizer": self.policy.chat.tokenizer.fingerprint(),
            "prompts": len(self.task.prompts),
            "origin": self.origin,
        }

    def resume(self) -> bool:
        """Take up an unfinished run in `folder`; False if there is none."""
        if self.folder is None or not PPOState.exists(self.folder):
            return False
        self.state = PPOState.load(self.folder, self.policy, self.optimizer, self.fingerprint())
        self.kl.coefficient = self.state.kl_coef
        self.log.rewind(self.state.step)
        self.saved_step = self.state.step
        return True

    def train(self) -> Policy:
        """Train to the end and return the best policy. Ctrl-C finishes the update, saves, and raises KeyboardInterrupt.

        Raises UserError, with the best policy saved, when the policy collapses or runs away.
        """
        config, state = self.config, self.state
        started = time.monotonic() - state.elapsed
        bar = tqdm(total=config.updates, initial=state.step, unit="update", disable=not self.runtime.is_main,
                   dynamic_ncols=True)  # fmt: skip
        with bar, stop_between_steps() as stop_asked:
            while True:
                state.elapsed = self.runtime.agree(time.monotonic() - started)
                if state.step * config.evaluations >= state.evaluations * config.updates:
                    self.evaluate(bar)
                if state.step == config.updates:
                    break
                numbers = self.update()
                self.log.metrics(self.here() | numbers)
                state.most_ended = max(state.most_ended, numbers["ended"])
                state.largest_deviation = max(state.largest_deviation, numbers["reward_deviation"])
                bar.set_postfix_str(
                    f"reward {numbers['reward']:+.2f}, KL {numbers['kl']:.2f}, {numbers['length']:.0f} tokens,"
                    f" {numbers['episodes_per_second']:.0f} episodes/s"
                )
                bar.update()
                stop = self.runtime.agree(stop_asked())
                if stop or state.step % config.save_every == 0:
                    self.save_state()
                if stop:
                    raise KeyboardInterrupt
        self.warning = reason_for_nothing(state.most_ended, state.largest_deviation, config.max_new_tokens)
        self.finish()
        return self.policy

    def finish(self, stopped: str = "") -> None:
        """Put the best policy in place and save it as the run's result."""
        if self.state.best is not None:
            self.policy.load_state_dict(self.state.best)
        self.save(finished=True, stopped=stopped)
        if self.folder is not None and self.runtime.is_main:
            PPOState.remove(self.folder)

    def here(self) -> dict[str, Any]:
        return {"step": self.state.step, "total_steps": self.config.updates, "seconds": round(self.state.elapsed, 2)}

    # One update.

    def update(self) -> dict[str, float]:
        """Sample, score, learn; returns the numbers of this update."""
        clock = time.monotonic()
        config, state = self.config, self.state
        prompts = draw_prompts(self.task.prompts, state.step, config.episodes, config.seed)
        rollout = self.roll_out(prompts, seed=(config.seed * 1_000_003 + state.step) * config.episodes)
        evaluated = self.forward(rollout)
        advantages, returns = self.advantages(rollout, evaluated)
        advantages = formulas.whiten(advantages, rollout.batch.mask)
        numbers = rollout_metrics(rollout, evaluated, returns, self.kl.coefficient, self.task)
        experience = Experience(rollout.batch, evaluated.logprobs, evaluated.values, advantages, returns)
        learned = [
            self.learn(experience, rows)
            for epoch in range(config.ppo_epochs)
            for rows in self.minibatches(state.step, epoch)
        ]
        self.kl.update(numbers["kl"], len(prompts))
        state.kl_coef = self.kl.coefficient
        state.step += 1
        means = {name: sum(row[name] for row in learned) / len(learned) for name in learned[0]}
        means["ratio_error"] = learned[0]["ratio_error"]  # of the first minibatch, before any step: exactly 0 in theory
        speed = len(prompts) / (time.monotonic() - clock)
        return numbers | means | {"episodes_per_second": round(speed, 1)}

    def roll_out(self, prompts: Sequence[Prompt], seed: int) -> Rollout:
        return roll_out(self.policy.chat, self.task, prompts, self.config, self.runtime, seed)

    def forward(self, rollout: Rollout) -> Evaluated:
        """One pass of the policy and one of its reference over the rollout, without gradients."""
        batch, config = rollout.batch, self.config
        logprobs, reference, values, entropy = (
            torch.zeros(batch.mask.shape, device=rollout.scores.device) for _ in range(4)
        )
        mine = self.runtime.share(len(rollout.responses))
        with evaluating(self.policy):
            for start in range(mine.start, mine.stop, config.micro_batch):
                part = slice(start, min(start + config.micro_batch, mine.stop))
                some, mask = batch.rows(part), batch.mask[part]
                with self.runtime.autocast():
                    new, logits, hidden = token_logprobs(self.policy.model, some, config.temperature)
                    logprobs[part][mask] = new
                    values[part][mask] = self.policy.value_head(hidden).squeeze(-1).float()
                    entropy[part][mask] = formulas.entropies(logits)
                    reference[part][mask] = token_logprobs(self.task.reference, some, config.temperature)[0]
        self.runtime.add_up([logprobs, values, reference, entropy])  # the other processes' rows are 0 here
        return Evaluated(logprobs, reference, values, entropy)

    def advantages(self, rollout: Rollout, evaluated: Evaluated) -> tuple[Tensor, Tensor]:
        """Advantages and returns [B, R], from scores, KL penalty and values."""
        mask = rollout.batch.mask
        rewards = formulas.penalised_rewards(
            rollout.scores, evaluated.logprobs, evaluated.reference, mask, self.kl.coefficient
        )
        return formulas.gae(rewards, evaluated.values, mask, self.config.gamma, self.config.lam)

    def minibatches(self, update: int, epoch: int) -> list[Tensor]:
        """Every episode once, in an order of its own for each epoch."""
        order = np.random.default_rng([self.config.seed, update, epoch]).permutation(self.config.episodes)
        return list(torch.from_numpy(order).split(self.config.minibatch))

    def learn(self, experience: Experience, rows: Tensor) -> dict[str, float]:
        """One optimizer step on a minibatch. Losses are summed over its tokens and divided once, by their number."""
        config, runtime = self.config, self.runtime
        count = int(experience.batch.mask[rows].sum())
        mine = rows[runtime.rank :: runtime.world]
        totals = {"policy_loss": 0.0, "value_loss": 0.0}
        new_logprobs, old_logprobs = [], []
        self.policy.eval()  # dropout would make the ratio differ from 1 for no reason
        for part in mine.split(config.micro_batch):
            some, mask = experience.batch.rows(part), experience.batch.mask[part]
            with runtime.autocast():
                logprobs, logits, hidden = token_logprobs(self.policy.model, some, config.temperature)
                values = self.policy.value_head(hidden).squeeze(-1).float()
            old, advantages = experience.logprobs[part][mask], experience.advantages[part][mask]
            policy_loss = formulas.policy_losses(logprobs, old, advantages, config.clip).sum() / count
            old_values, returns = experience.values[part][mask], experience.returns[part][mask]
            value_loss = formulas.value_losses(values, old_values, returns, config.value_clip).sum() / count
            loss = policy_loss + config.value_coef * value_loss
            if config.entropy_coef:
                loss = loss - config.entropy_coef * formulas.entropies(logits).sum() / count
            loss.backward()
            totals["policy_loss"] += policy_loss.item()
            totals["value_loss"] += value_loss.item()
            new_logprobs.append(logprobs.detach())
            old_logprobs.append(old)
        runtime.sum_gradients(list(self.policy.parameters()))
        self.optimizer.step(1 - self.state.step / config.updates)
        sums = runtime.sum(list(totals.values()))
        new, before = (torch.tensor(runtime.gather(torch.cat(t).tolist())) for t in (new_logprobs, old_logprobs))
        return dict(zip(totals, sums, strict=True)) | formulas.ratio_statistics(new, before, config.clip)

    # Measuring.

    def evaluate(self, bar: tqdm[Any]) -> None:
        """Answer the held-out prompts, keep the best policy, and stop a run that has gone wrong."""
        state, config = self.state, self.config
        state.evaluations = state.step * config.evaluations // config.updates + 1
        if not self.valid_prompts:
            state.keep_best(self.policy)
            return
        rollout = self.roll_out(self.valid_prompts, seed=0)
        evaluated = self.forward(rollout)
        _, returns = self.advantages(rollout, evaluated)
        numbers = rollout_metrics(rollout, evaluated, returns, self.kl.coefficient, self.task)
        self.log.metrics(self.here() | {"valid": numbers})
        if self.runtime.is_main:
            samples = greedy_samples(self.policy, self.task, self.valid_prompts[:SHOWN], config.max_new_tokens)
            self.log.samples(state.step, samples)
            told = headline(numbers, len(self.valid_prompts), len(self.task.valid_prompts))
            bar.write(f"update {state.step}: {told}\n    {samples[0]['prompt']} -> {samples[0]['text']}")
        stats = PolicyStats(numbers["kl"], numbers["length"], numbers["ended"], numbers["distinct_2"])
        state.at_first = state.at_first or asdict(stats)
        reason = reason_to_stop(stats, PolicyStats(**state.at_first), config.max_kl, config.max_drift)
        if reason:
            self.finish(stopped=reason)
            kept = f"{self.folder} keeps the best policy before that" if self.folder else "the best policy was put back"
            raise UserError(f"the policy went wrong at update {state.step}: {reason}. {kept}.")
        # The same coefficient for all evaluations, or an adaptive one would make them incomparable.
        objective = numbers["reward"] - config.kl_coef * numbers["kl"]
        if objective > state.best_objective:
            state.best_objective, state.best_numbers, state.best_step = objective, numbers, state.step
            state.keep_best(self.policy)
            self.save(finished=False)

    def save(self, finished: bool, stopped: str = "") -> None:
        if self.save_policy and self.runtime.is_main:
            card = {"finished": finished, "steps": self.state.step, "minutes": round(self.state.elapsed / 60, 2),
                    "training": asdict(self.config), "metrics": self.state.best_numbers or {},
                    "best_step": self.state.best_step}  # fmt: skip
            remarks = {"stopped": stopped, "warning": self.warning}
            self.save_policy(card | {name: text for name, text in remarks.items() if text})

    def save_state(self) -> None:
        if self.folder is not None and self.runtime.is_main:
            self.state.save(self.folder, self.policy, self.optimizer, self.fingerprint())
            self.saved_step = self.state.step
