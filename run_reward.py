#!/usr/bin/env python
"""Step 3: learn what people like. A copy of the SFT model with a single number on top learns from judgements.

python run_reward.py                                  Tinytown: the town's grader compares the SFT model's answers
python run_reward.py --recipe movie                   the film's own reply against others
python run_reward.py --corpus votes.jsonl             comparisons of yours (--format says how to read them)
python run_reward.py --score --prompt "Who are you?" --answer "The guide."
python run_reward.py --score answers.jsonl            a reward for each row with a prompt and an answer
"""

import copy

from minigpt import cli
from minigpt.alignment.comparisons import open_feedback, reference_answers, save_comparisons, worse_on_purpose
from minigpt.alignment.reward_model import Judgement, RewardModel, save_reward_model
from minigpt.alignment.score_answers import print_scores
from minigpt.config import RewardConfig
from minigpt.run import Stage
from minigpt.training.device import leave_processes
from minigpt.training.plots import plot_judgements
from minigpt.training.trainer import Trainer


def main() -> None:
    parser = cli.Parser(description=__doc__)
    cli.add_data_flags(parser, "reward")
    parser.add_argument("--init-from", help="model folder to start from (default trained_models/RECIPE/sft)")
    cli.add_score_flags(parser)
    cli.add_settings_flags(parser, RewardConfig)
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    if arguments.score is not None:
        print_scores(arguments)
        return
    stage = Stage("reward", arguments)
    parent = stage.folder_of("sft", arguments.init_from)
    sft = stage.parent_model(parent)
    corpus = open_feedback(stage, sft)
    stage.say(f"feedback:  {corpus.summary()}")
    extra, share = worse_on_purpose(stage, corpus)
    references = reference_answers(stage, sft, corpus)
    model = RewardModel(copy.deepcopy(sft), familiarity=stage.settings.familiarity)

    def save(model: RewardModel, run: dict) -> None:
        if run["finished"]:
            model.normalise(model.readings(references))
        save_reward_model(stage.folder, model, stage.card(parent) | {"synthetic": share} | run)

    trainer = Trainer(
        model,
        None,
        stage.settings,
        runtime=stage.runtime,
        folder=stage.folder,
        save=save,
        origin=stage.origin(parent),
        objective=Judgement(model, corpus, stage.runtime, stage.settings.want, extra),
    )
    stage.claim_folder(model.tokenizer)
    if stage.runtime.is_main:
        save_comparisons(stage.folder, corpus)
    stage.announce(trainer)
    stage.run(trainer, plot_judgements)
    stage.say(f"\n{trainer.scores or 'no held-out judgements'}")
    stage.say(f"next:      python run_ppo.py --recipe {arguments.recipe}")


if __name__ == "__main__":
    with leave_processes():
        cli.run(main)
