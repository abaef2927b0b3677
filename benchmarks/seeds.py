"""Does alignment work, or did it work once? Reward model and PPO of Tinytown from scratch, for several seeds.

    python benchmarks/seeds.py                 five seeds, about seven minutes each on two cores
    python benchmarks/seeds.py --seeds 2

Every seed has its own answers to compare, its own reward model and its own PPO run, all from the same SFT model. PPO
meets SFT on questions that it was not trained on, both at temperature 1, marked by the town's grader. Failures stay in
the table.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from minigpt import cli
from minigpt.model.checkpoint import read_card

HOME = Path("trained_models/tinytown")
#: What "it works" means, for answers about asked residents.
LEAST_WINS, LEAST_GOOD, MOST_RIGHT_LOST, MOST_KL = 0.85, 0.90, 0.02, 8.0


def run_seed(seed: int, questions: int) -> dict[str, object]:
    """Train and judge one seed; a stage that fails leaves its message in the row."""
    reward, policy, verdict = (HOME / f"{name}-seed-{seed}" for name in ("reward", "ppo", "win-rate"))
    own = ["--seed", str(seed), "--restart"]
    commands = [
        ["run_reward.py", "--out", str(reward), *own],
        ["run_ppo.py", "--reward", str(reward), "--out", str(policy), *own],
        ["-m", "minigpt", "evaluate", "win-rate", "--model", str(policy), "--questions", str(questions),
         "--seed", str(seed), "--json", f"{verdict}.json"],
    ]  # fmt: skip
    for command in commands:
        done = subprocess.run([sys.executable, *command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            return {"seed": seed, "failed": f"{command[0]}: {done.stdout.strip().splitlines()[-1]}"}
    results = json.loads(Path(f"{verdict}.json").read_text(encoding="utf-8"))
    asked, held_out = results["asked"], results["held_out"]
    judged, trained = read_card(reward), read_card(policy)
    return {
        "seed": seed,
        "reward accuracy": judged["metrics"]["accuracy"],
        "reward minutes": judged["minutes"],
        "PPO minutes": trained["minutes"],
        "sft": asked["sft"],
        "ppo": asked[policy.name],
        "held_out_sft": held_out["sft"],
        "held_out_ppo": held_out[policy.name],
    }


def line(row: dict) -> str:
    if "failed" in row:
        return f"{row['seed']:4}  failed: {row['failed']}"
    sft, ppo, away_sft, away = row["sft"], row["ppo"], row["held_out_sft"], row["held_out_ppo"]
    fine = (
        ppo["wins"] >= LEAST_WINS
        and ppo["good"] >= LEAST_GOOD
        and ppo["right"] >= sft["right"] - MOST_RIGHT_LOST
        and ppo["kl"] <= MOST_KL
    )
    cells = [
        f"{row['seed']:4}",
        f"{row['reward accuracy']:9.1%}{row['reward minutes']:8.1f}{row['PPO minutes']:8.1f}",
        f"{ppo['wins']:9.1%}{ppo['ties']:8.1%}{sft['good']:9.1%} ->{ppo['good']:6.1%}",
        f"{sft['right']:9.1%} ->{ppo['right']:6.1%}{ppo['kl']:7.2f}",
        f"{away_sft['good']:10.1%} ->{away['good']:6.1%}{away_sft['right']:9.1%} ->{away['right']:6.1%}",
        "   yes" if fine else "   NO",
    ]
    return "".join(cells)


def main() -> None:
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds (default 5)")
    parser.add_argument("--questions", type=int, default=800, help="questions in each column (default 800)")
    arguments = parser.parse_args()
    print(
        "                                         asked residents                                 "
        "held-out residents\n"
        "seed   reward    min.    PPO     wins    ties       good                right               KL"
        "       good                right          works"
    )
    rows = []
    for seed in range(arguments.seeds):
        rows.append(run_seed(seed, arguments.questions))
        print(line(rows[-1]), flush=True)


if __name__ == "__main__":
    cli.run(main)
