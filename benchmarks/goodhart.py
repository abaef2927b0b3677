"""Goodhart's curve: what becomes of real quality when a flawed reward is pushed too far, with and without kl_coef.

    python benchmarks/goodhart.py              ten to twenty minutes on two cores

A careless rater (few comparisons, many mistakes, a liking for long answers) teaches a reward model; PPO maximises it
without a KL penalty, and with one. The town's grader shows what the answers are really worth.
The picture is benchmarks/pictures/goodhart.png.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from minigpt import cli
from minigpt.training.run_state import METRICS, read_log

HOME = Path("trained_models/tinytown")
PICTURE = Path(__file__).parent / "pictures" / "goodhart.png"
COEFFICIENTS = (0.0, 0.3)
#: The experiment's own settings: Tinytown's recipe may learn better one day, this one shall stay what it is.
RATER = ("--likelihood-penalty", "0", "--lr", "0.0015", "--matrix-lr", "0.006")
POLICY = ("--ppo-epochs", "4", "--lr", "0.0002", "--lam", "0.95", "--evaluations", "10")
SHOWN = ("reward", "true_good", "true_right", "length", "kl")


def run(*command: str) -> None:
    subprocess.run([sys.executable, *command], check=True)


def train(reward: Path, coefficient: float, updates: int) -> list[dict[str, Any]]:
    """PPO at one kl_coef, with nothing to stop it: step and held-out numbers of each evaluation."""
    folder = HOME / f"ppo-careless-kl-{coefficient:g}"
    unlimited = ("--max-kl", "1000", "--max-drift", "1000")
    run("run_ppo.py", "--reward", str(reward), "--out", str(folder), "--restart", "--kl-coef", str(coefficient),
        "--updates", str(updates), *POLICY, *unlimited)  # fmt: skip
    return [{"step": row["step"], **row["valid"]} for row, _ in read_log(folder / METRICS) if "valid" in row]


def draw(curves: dict[float, list[dict[str, Any]]], title: str) -> None:
    """What the reward model says and what the grader says, side by side, against the way the policy has gone."""
    figure, (learned, true) = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for coefficient, rows in curves.items():
        steps = [row["step"] for row in rows]
        colour = "tab:red" if coefficient == 0 else "tab:blue"
        label = "no KL penalty" if coefficient == 0 else f"kl_coef = {coefficient:g}"
        learned.plot(steps, [row["reward"] for row in rows], "o-", color=colour, label=label)
        true.plot(steps, [100 * row["true_good"] for row in rows], "o-", color=colour, label=f"good, {label}")
        true.plot(steps, [100 * row["true_right"] for row in rows], "x:", color=colour, label=f"right, {label}")
    learned.set(title="What the reward model says", ylabel="learned reward (deviations of SFT answers)")
    true.set(title="What the answers are worth", ylabel="answers, by the grader (%)", ylim=(0, 115))
    true.set_yticks(range(0, 101, 20))
    for ax in (learned, true):
        ax.set_xlabel("PPO updates")
        ax.grid(alpha=0.3)
    learned.legend(loc="lower right")
    true.legend(fontsize="small", ncols=2, loc="upper center")
    figure.suptitle(title)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=110)


def main() -> None:
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=600, help="comparisons that the rater is asked for")
    parser.add_argument("--noise", type=float, default=0.25, help="share of the choices that are wrong")
    parser.add_argument("--length-bias", type=float, default=0.05, help="what a word is worth to the rater")
    parser.add_argument("--updates", type=int, default=40, help="updates of PPO at each kl_coef")
    arguments = parser.parse_args()
    reward = HOME / "reward-careless"
    run("run_reward.py", "--out", str(reward), "--restart", "--pairs", str(arguments.pairs), *RATER,
        "--noise", str(arguments.noise), "--length-bias", str(arguments.length_bias))  # fmt: skip
    curves = {coefficient: train(reward, coefficient, arguments.updates) for coefficient in COEFFICIENTS}
    print(f"{'coefficient':>5}{'update':>8}" + "".join(f"{name:>12}" for name in SHOWN))
    for coefficient, rows in curves.items():
        for row in rows:
            print(f"{coefficient:5g}{row['step']:8}" + "".join(f"{row[name]:12.3f}" for name in SHOWN))
    draw(curves, f"A reward learned from {arguments.pairs} comparisons of a careless rater")
    print(f"picture: {PICTURE}")


if __name__ == "__main__":
    cli.run(main)
