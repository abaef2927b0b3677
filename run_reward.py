#!/usr/bin/env python
"""Step 3: learn what people prefer. A copy of the SFT model with a single number on top learns from judgements.

python run_reward.py                                  Tinytown: the town's grader compares the SFT model's answers
python run_reward.py --recipe movie                   the film's own reply against others
python run_reward.py --corpus votes.jsonl             comparisons of yours (--format says how to read them)
python run_reward.py --score --prompt "Who are you?" --answer "The guide."
python run_reward.py --score answers.jsonl            a reward for each row with a prompt and an answer
"""

import copy
from dataclasses import replace
from typing import Any

from minigpt import cli
from minigpt.alignment.comparisons import open_comparisons, reference_responses, save_comparisons, worse_on_purpose
from minigpt.alignment.reward_model import save_reward_model
from minigpt.alignment.reward_training import RewardTraining, new_reward_model
from minigpt.alignment.score_answers import print_scores
from minigpt.config import RewardConfig
from minigpt.run import Run, add_data_flags
from minigpt.training.device import leave_processes
from minigpt.training.plots import plot_judgements


def main() -> None:
    parser = cli.Parser(description=__doc__)
    add_data_flags(parser, "reward")
    parser.add_argument("--init-from", help="model folder to start from (default trained_models/RECIPE/sft)")
    cli.add_score_flags(parser)
    cli.add_settings_flags(parser, RewardConfig)
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    if arguments.score is not None:
        print_scores(arguments)
        return
    run = Run("reward", arguments)
    parent = run.folder_of("sft", arguments.init_from)
    sft = run.parent_model(parent)
    corpus = open_comparisons(run, sft)
    run.say(f"feedback:  {corpus.summary()}")
    extra, share = worse_on_purpose(run, corpus)
    references = reference_responses(run, sft, corpus)
    model = new_reward_model(replace(sft, gpt=copy.deepcopy(sft.gpt)), corpus, run.settings)

    def save(state: dict[str, Any]) -> None:
        save_reward_model(run.folder, model, run.card(parent) | {"synthetic": share} | state)

    objective = RewardTraining(model, corpus, run.runtime, run.settings.want, extra, references)
    run.train(objective, save, parent, plot_judgements, prepare=lambda: save_comparisons(run.folder, corpus))
    run.say_next(run.next_stage("ppo", init_from=arguments.init_from, reward=arguments.out and run.folder))


if __name__ == "__main__":
    with leave_processes():
        cli.run(main)
