"""1: REINFORCE (Williams 1992). What an answer consists of becomes likelier, the more so the more it earned."""

import csv
from pathlib import Path

import torch

WORDS = ["red", "blue", "green", "well", "um", "cheers", "thanks", "welcome"]


def reward(answer: list[int]) -> float:
    """From 3 for anything to 4.55: the right word at first, a courtesy at the end. One of them pays a little more."""
    said = [WORDS[i] for i in answer]
    return 3 + (said[0] == "red") + {"cheers": 0.55, "thanks": 0.5, "welcome": 0.5}.get(said[2], 0.0)


def train(
    seed: int, steps: int = 60, answers: int = 32
) -> list[list[float]]:
    """One run. For each step: reward, KL in nats an answer, entropy in nats a word, the commonest ending's share."""
    draw, log = torch.Generator().manual_seed(seed), []
    logits = torch.zeros(3, len(WORDS), dtype=torch.double, requires_grad=True)  # three words, one after the other
    reference = logits.detach().log_softmax(-1)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(steps):
        policy = logits.detach().softmax(-1)
        chance = torch.rand(answers, 3, 1, generator=draw, dtype=torch.double)
        drawn = (policy.cumsum(-1) < chance).sum(-1).clamp_max(len(WORDS) - 1)  # [answers, 3]
        old = policy.log()[range(3), drawn]  # log-probability of each word
        rewards = torch.tensor([reward(answer) for answer in drawn.tolist()], dtype=torch.double)
        kl = (old - reference[range(3), drawn]).sum(1)
        advantages = rewards[:, None]
        new = logits.log_softmax(-1)[range(3), drawn]
        loss = -(advantages * new).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        entropy = -(policy * policy.log()).sum(-1).mean()
        log.append([rewards.mean().item(), kl.mean().item(), entropy.item(), policy[2].max().item()])
    return log


if __name__ == "__main__":
    runs = torch.tensor([train(seed) for seed in range(6)]).mean(0)
    with Path(__file__).with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["reward", "kl", "entropy", "commonest_ending"])
        writer.writerows([f"{value:.4f}" for value in row] for row in runs.tolist())
