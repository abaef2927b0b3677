"""Goodhart's curve: what happens to the truth when a flawed reward is pushed too far, and what the price of KL does.

    python benchmarks/goodhart.py              about eight minutes on two cores

A careless rater (few comparisons, many mistakes, a liking for long answers) teaches a reward model; PPO maximises it
without a price for leaving the SFT model, and with one. The town's grader shows what the answers are really worth.
The picture is benchmarks/pictures/goodhart.png.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from minigpt import flags
from minigpt.state import METRICS, read_log

HOME = Path("trained_models/tinytown")
PICTURE = Path(__file__).parent / "pictures" / "goodhart.png"
PRICES = (0.0, 0.3)


def run(*command: str) -> None:
    subprocess.run([sys.executable, *command], check=True)


def main() -> None:
    parser = flags.Parser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=600, help="comparisons that the rater is asked for")
    parser.add_argument("--noise", type=float, default=0.25, help="share of the choices that are wrong")
    parser.add_argument("--length-bias", type=float, default=0.05, help="what a word is worth to the rater")
    parser.add_argument("--updates", type=int, default=60, help="updates of PPO at each price")
    arguments = parser.parse_args()
    reward = HOME / "reward-careless"
    run("run_reward.py", "--out", str(reward), "--restart", "--pairs", str(arguments.pairs),
        "--noise", str(arguments.noise), "--length-bias", str(arguments.length_bias))  # fmt: skip
    figure, panels = pyplot.subplots(1, len(PRICES), figsize=(12, 4.2), layout="constrained", sharey=True)
    for ax, price in zip(panels, PRICES, strict=True):
        folder = HOME / f"ppo-careless-kl-{price:g}"
        unlimited = ("--max-kl", "1000", "--max-drift", "1000")
        run("run_ppo.py", "--reward", str(reward), "--out", str(folder), "--restart", "--kl", str(price),
            "--updates", str(arguments.updates), "--evaluations", "12", *unlimited)  # fmt: skip
        rows = [row["valid"] for row, _ in read_log(folder / METRICS) if "valid" in row]
        kl = [max(0.0, row["kl"]) ** 0.5 for row in rows]
        ax.plot(kl, [row["reward"] for row in rows], "o-", label="learned reward (standard deviations)")
        for name in ("true_good", "true_right"):
            label = f"{name.removeprefix('true_')}, by the grader (share)"
            ax.plot(kl, [row[name] for row in rows], "s--", label=label)
        ax.set(title=f"price of KL {price:g}", xlabel="distance from the SFT model, sqrt(KL)")
        ax.grid(alpha=0.3)
        ax.legend()
        good = [row["true_good"] for row in rows]
        print(
            f"price {price:g}: learned reward {rows[0]['reward']:+.2f} -> {rows[-1]['reward']:+.2f},"
            f" good answers {good[0]:.1%} -> best {max(good):.1%} -> {good[-1]:.1%}"
        )
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=110)
    print(f"picture: {PICTURE}")


if __name__ == "__main__":
    flags.run(main)
