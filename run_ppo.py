#!/usr/bin/env python
"""Step 4: learn to answer the way people prefer. The SFT model writes, the reward model scores, PPO learns.

python run_ppo.py                                     Tinytown
python run_ppo.py --recipe movie
python run_ppo.py --reward grader                     Tinytown's grader as the reward, instead of the reward model
python run_ppo.py --reward my_reward.py:score         your own function of prompts and responses
python run_ppo.py --kl-coef 0.2                       stay closer to the SFT model
python run_ppo.py --corpus prompts.jsonl              prompts of yours (--format says how to read them)
"""

from minigpt import cli
from minigpt.alignment.ppo_run import before_and_after, open_ppo
from minigpt.config import PPOConfig
from minigpt.run import LEARNED_NOTHING, Run, add_data_flags
from minigpt.training.device import leave_processes
from minigpt.training.plots import plot_ppo


def main() -> int:
    parser = cli.Parser(description=__doc__)
    add_data_flags(parser, "ppo")
    parser.add_argument("--init-from", help="model folder to start from (default trained_models/RECIPE/sft)")
    parser.add_argument(
        "--reward",
        help="reward model's folder (default trained_models/RECIPE/reward), grader (only in Tinytown), or a function"
        " of yours, FILE.py:FUNCTION, that takes lists of prompts and responses and returns a number for each",
    )
    cli.add_settings_flags(parser, PPOConfig)
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    run = Run("ppo", arguments)
    trainer = open_ppo(run)
    run.claim_folder(trainer.policy.chat.tokenizer)
    run.run(trainer, plot_ppo)
    run.say(before_and_after(run.folder))
    if trainer.warning:
        run.warn(trainer.warning)
        return LEARNED_NOTHING
    run.say_next(["run_chat.py", "--model", str(run.folder)])
    return 0


if __name__ == "__main__":
    with leave_processes():
        cli.run(main)
