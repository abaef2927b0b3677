"""PPO: write answers, have them scored, learn from them, again and again. The formulas are in `formulas.py`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..config import PPOConfig
from ..data.examples import Prompt
from ..errors import UserError
from ..model.gpt import GPT, evaluating
from ..model.sampling import Sampling
from ..training.device import Runtime
from ..training.optimizer import Optimizer
from ..training.run_state import RunLog, RunState
from ..training.trainer import stop_between_steps
from . import formulas
from .formulas import Episode
from .policy import Policy, Writings, draw_answers, read_answers, write_answers, writings

#: The reward of each episode: a reward model, a grader, a count of tokens.
Reward = Callable[[Sequence[Episode]], list[float]]
#: What is known of an answer beside its reward, by name: in Tinytown the grader's marks.
Marks = Callable[[Episode], dict[str, float]]
SHOWN = 8  # held-out prompts whose greedy answers are kept


@dataclass
class PPOState(RunState):
    """Where PPO stands."""

    step: int = 0
    kl_coefficient: float = 0.0
    best_objective: float = -math.inf
    best_numbers: dict[str, float] | None = None
    at_first: dict[str, float] | None = None


@dataclass(frozen=True)
class Experience:
    """An update's episodes and what was computed from them, [B, R] each, on the device."""

    written: Writings
    logprobs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor


class PPOTrainer:
    """Trains `policy` to earn `reward` on `prompts`, without leaving `reference` far behind.

    With a `folder`, the run writes there `metrics.jsonl`, `samples.jsonl`, what resuming needs, and (through `save`)
    the best policy so far: the one that earns most on `valid_prompts` after paying for its divergence.
    """

    def __init__(
        self,
        policy: Policy,
        reference: GPT,
        reward: Reward,
        prompts: Sequence[Prompt],
        valid_prompts: Sequence[Prompt],
        config: PPOConfig,
        runtime: Runtime,
        *,
        folder: Path | None = None,
        save: Callable[[Policy, dict[str, Any]], None] | None = None,
        marks: Marks | None = None,
        origin: str = "",
    ) -> None:
        self.policy, self.config, self.runtime = policy.to(runtime.device), config, runtime
        self.reference = reference.to(runtime.device).eval().requires_grad_(False)
        self.reward, self.marks = reward, marks
        self.prompts, self.valid_prompts = prompts, valid_prompts[: config.evaluation_prompts]
        self.folder, self.save_policy, self.origin = folder, save, origin
        if not prompts:
            raise UserError("there is no prompt to answer; is the corpus empty?")
        if config.minibatch < runtime.world:
            raise UserError(f"--minibatch {config.minibatch} is too small for {runtime.world} processes.")
        assert policy.model.tokenizer is not None
        self.tokenizer = policy.model.tokenizer
        body = {"params": list(policy.model.parameters()), "lr": config.learning_rate}
        head = {"params": list(policy.value_head.parameters()), "lr": config.value_rate}
        # Betas as usual, eps as in the first implementations: small second moments must not make large steps.
        self.optimizer = Optimizer([torch.optim.Adam([body, head], eps=1e-5)], config.max_gradient)
        self.price: formulas.FixedKL | formulas.AdaptiveKL = formulas.FixedKL(config.kl)
        if config.target_kl:
            self.price = formulas.AdaptiveKL(config.kl, config.target_kl, config.horizon)
        self.state = PPOState(kl_coefficient=config.kl)
        self.log = RunLog(folder if runtime.is_main else None)
        self.saved_step = 0

    def fingerprint(self) -> dict[str, Any]:
        """What must not change between the parts of a resumed run."""
        return {
            "training": asdict(self.config),
            "model": asdict(self.policy.model.config),
            "tokenizer": self.tokenizer.fingerprint(),
            "prompts": len(self.prompts),
            "origin": self.origin,
        }

    def resume(self) -> bool:
        """Take up an unfinished run in `folder`; False if there is none."""
        if self.folder is None or not PPOState.exists(self.folder):
            return False
        self.state = PPOState.load(self.folder, self.policy, self.optimizer, self.fingerprint())
        self.price.coefficient = self.state.kl_coefficient
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
        return {"step": self.state.step, "seconds": round(self.state.elapsed, 2)}

    # One update.

    def update(self) -> dict[str, float]:
        """Write, score, learn; returns the numbers of this update."""
        clock = time.monotonic()
        config, state = self.config, self.state
        episodes, drawn = self.collect(state.step)
        scores = self.score(episodes)
        experience, numbers = self.appraise(episodes, scores)
        experience = replace(experience, advantages=formulas.whiten(experience.advantages, experience.written.mask))
        gap = self.sampler_gap(experience, drawn)
        learned = [
            self.learn(experience, rows)
            for epoch in range(config.ppo_epochs)
            for rows in self.minibatches(state.step, epoch)
        ]
        self.price.update(numbers["kl"], len(episodes))
        state.kl_coefficient = self.price.coefficient
        state.step += 1
        means = {name: sum(row[name] for row in learned) / len(learned) for name in learned[0]}
        means["ratio_error"] = learned[0]["ratio_error"]  # of the first minibatch, before any step: exactly 0 in theory
        speed = len(episodes) / (time.monotonic() - clock)
        marks = self.mean_marks(episodes)
        return numbers | means | marks | {"sampler_gap": gap, "episodes_per_second": round(speed, 1)}

    def collect(self, update: int) -> tuple[list[Episode], list[list[float]]]:
        """The answers of one update. Its prompts follow from (seed, update), so a resumed run goes on alike."""
        config = self.config
        per_pass = max(1, len(self.prompts) // config.episodes)
        number, part = divmod(update, per_pass)
        order = np.random.default_rng([config.seed, number]).permutation(len(self.prompts))
        chosen = np.resize(order[part * config.episodes :], config.episodes).tolist()
        seed = (config.seed * 1_000_003 + update) * config.episodes
        return self.write([self.prompts[i] for i in chosen], seed)

    def write(self, prompts: Sequence[Prompt], seed: int) -> tuple[list[Episode], list[list[float]]]:
        """An answer to each prompt, and the log-probabilities of its tokens as drawn. The processes share the work."""
        mine = self.runtime.share(len(prompts))
        sampling = Sampling(temperature=self.config.temperature, seed=seed + mine.start)
        episodes, drawn = write_answers(self.policy.model, prompts[mine], self.config.max_new_tokens, sampling)
        return self.runtime.gather(episodes), self.runtime.gather(drawn)

    def score(self, episodes: Sequence[Episode]) -> Tensor:
        """The reward [B] of each episode, before the price of divergence."""
        mine = self.reward(episodes[self.runtime.share(len(episodes))])
        scores = torch.tensor(self.runtime.gather(mine), dtype=torch.float32)
        if not scores.isfinite().all():
            bad = int((~scores.isfinite()).nonzero()[0])
            raise UserError(f"the reward of the answer {episodes[bad].text!r} is {float(scores[bad])}; train it anew.")
        finished = torch.tensor([episode.finished for episode in episodes])
        return formulas.require_end(scores, finished, self.config.missing_end).to(self.runtime.device)

    def appraise(self, episodes: Sequence[Episode], scores: Tensor) -> tuple[Experience, dict[str, float]]:
        """Log-probabilities, values, advantages and returns, and what is worth logging about them."""
        config = self.config
        written = writings(episodes, self.tokenizer.pad).to(self.runtime.device)
        logprobs, values, reference, entropy = (torch.zeros(written.mask.shape, device=scores.device) for _ in range(4))
        mine = self.runtime.share(len(episodes))
        with evaluating(self.policy):
            for start in range(mine.start, mine.stop, config.micro_batch):
                part = slice(start, min(start + config.micro_batch, mine.stop))
                some, mask = written.rows(part), written.mask[part]
                with self.runtime.autocast():
                    new, logits, hidden = read_answers(self.policy.model, some, config.temperature)
                    logprobs[part][mask] = new
                    values[part][mask] = self.policy.value_head(hidden).squeeze(-1).float()
                    entropy[part][mask] = formulas.entropies(logits)
                    reference[part][mask] = read_answers(self.reference, some, config.temperature)[0]
        self.runtime.add_up([logprobs, values, reference, entropy])  # the other processes' rows are 0 here
        rewards = formulas.kl_rewards(scores, logprobs, reference, written.mask, self.price.coefficient)
        advantages, returns = formulas.advantages_and_returns(rewards, values, written.mask, config.gamma, config.lam)
        divergence = ((logprobs - reference) * written.mask).sum(1)
        numbers = {
            "reward": float(scores.mean()),
            "reward_deviation": float(scores.std(correction=0)),
            "kl": float(divergence.mean()),
            "kl_coefficient": self.price.coefficient,
            "objective": float((scores - self.price.coefficient * divergence).mean()),
            "entropy": float(formulas.masked_mean(entropy, written.mask)),
            "explained_variance": formulas.explained_variance(values, returns, written.mask),
            "length": float(written.mask.sum(1).float().mean()),
            "ended": sum(episode.finished for episode in episodes) / len(episodes),
            "distinct_2": formulas.distinct([episode.text for episode in episodes]),
        }
        return Experience(written, logprobs, values, advantages, returns), numbers

    def sampler_gap(self, experience: Experience, drawn: Sequence[Sequence[float]]) -> float:
        """How far the log-probabilities of the cached decoder are from those of the training pass."""
        sampled = torch.tensor([logprob for row in drawn for logprob in row])
        return float((experience.logprobs[experience.written.mask].cpu() - sampled).abs().max())

    def minibatches(self, update: int, epoch: int) -> list[Tensor]:
        """Every episode once, in an order of its own for each epoch."""
        order = np.random.default_rng([self.config.seed, update, epoch]).permutation(self.config.episodes)
        return list(torch.from_numpy(order).split(self.config.minibatch))

    def learn(self, experience: Experience, rows: Tensor) -> dict[str, float]:
        """One optimizer step on a minibatch. Losses are summed over its tokens and divided once, by their number."""
        config, runtime = self.config, self.runtime
        count = int(experience.written.mask[rows].sum())
        mine = rows[runtime.rank :: runtime.world]
        totals = {"policy_loss": 0.0, "value_loss": 0.0}
        new_logprobs, old_logprobs = [], []
        self.policy.eval()  # dropout would make the ratio differ from 1 for no reason
        for part in mine.split(config.micro_batch):
            some, mask = experience.written.rows(part), experience.written.mask[part]
            with runtime.autocast():
                logprobs, logits, hidden = read_answers(self.policy.model, some, config.temperature)
                values = self.policy.value_head(hidden).squeeze(-1).float()
            old = experience.logprobs[part][mask]
            advantages = experience.advantages[part][mask]
            policy_loss = formulas.policy_losses(logprobs, old, advantages, config.clip).sum() / count
            old_values, returns = experience.values[part][mask], experience.returns[part][mask]
            value_loss = formulas.value_losses(values, old_values, returns, config.value_clip).sum() / count
            loss = policy_loss + config.value_weight * value_loss
            if config.entropy_weight:
                loss = loss - config.entropy_weight * formulas.entropies(logits).sum() / count
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

    def mean_marks(self, episodes: Sequence[Episode]) -> dict[str, float]:
        if self.marks is None:
            return {}
        rows = [self.marks(episode) for episode in episodes]
        return {f"true_{name}": sum(row[name] for row in rows) / len(rows) for name in rows[0]}

    def evaluate(self, bar: tqdm[Any]) -> None:
        """Answer the held-out prompts, keep the best policy, and stop a run that has gone wrong."""
        state, config = self.state, self.config
        state.evaluations = state.step * config.evaluations // config.updates + 1
        if not self.valid_prompts:
            state.keep_best(self.policy)
            return
        episodes, _ = self.write(self.valid_prompts, seed=0)
        _, numbers = self.appraise(episodes, self.score(episodes))
        numbers |= self.mean_marks(episodes)
        self.log.metrics(self.here() | {"valid": numbers})
        self.keep_samples(bar, numbers)
        health = formulas.Health(numbers["kl"], numbers["length"], numbers["ended"], numbers["distinct_2"])
        state.at_first = state.at_first or asdict(health)
        reason = formulas.illness(health, formulas.Health(**state.at_first), config.max_kl, config.max_drift)
        if reason:
            self.finish(stopped=reason)
            kept = f"{self.folder} keeps the best policy before that" if self.folder else "the best policy was put back"
            raise UserError(f"the policy went wrong at update {state.step}: {reason}. {kept}.")
        # The same price for all evaluations, or an adaptive one would make them incomparable.
        objective = numbers["reward"] - config.kl * numbers["kl"]
        if objective > state.best_objective:
            state.best_objective, state.best_numbers = objective, numbers
            state.keep_best(self.policy)
            self.save(finished=False)

    def keep_samples(self, bar: tqdm[Any], numbers: dict[str, float]) -> None:
        """The likeliest answers to a few held-out prompts, with their rewards."""
        if not self.runtime.is_main:
            return
        length, likeliest = self.config.max_new_tokens, Sampling(temperature=0.0)
        episodes, _ = draw_answers(self.policy.model, self.valid_prompts[:SHOWN], length, likeliest)
        samples = [
            {"prompt": episode.turns[-1].text, "text": episode.text, "reward": round(reward, 3)}
            for episode, reward in zip(episodes, self.reward(episodes), strict=True)
        ]
        self.log.samples(self.state.step, samples)
        shown = ", ".join(f"{k} {v:.3f}" for k, v in numbers.items() if k in ("reward", "kl", "true_good"))
        bar.write(f"update {self.state.step}: {shown}\n    {samples[0]['prompt']} -> {samples[0]['text']}")

    def save(self, finished: bool, stopped: str = "") -> None:
        if self.save_policy and self.runtime.is_main:
            card = {"finished": finished, "steps": self.state.step, "minutes": round(self.state.elapsed / 60, 2),
                    "training": asdict(self.config), "metrics": self.state.best_numbers or {}}  # fmt: skip
            self.save_policy(self.policy, card | ({"stopped": stopped} if stopped else {}))

    def save_state(self) -> None:
        if self.folder is not None and self.runtime.is_main:
            self.state.save(self.folder, self.policy, self.optimizer, self.fingerprint())
            self.saved_step = self.state.step
