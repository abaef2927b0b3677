#!/usr/bin/env python
"""Step 1: learn the language. A model of random weights reads articles and learns what comes next.

python run_pretrain.py                    Tinytown, minutes on a laptop
python run_pretrain.py --recipe movie     WikiText-2
python run_pretrain.py --corpus my.txt --recipe my_recipe.toml
"""

from minigpt import cli
from minigpt.run import Run, add_data_flags
from minigpt.training.device import leave_processes


def main() -> None:
    parser = cli.Parser(description=__doc__)
    add_data_flags(parser, "pretrain")
    cli.add_model_flags(parser)
    cli.add_settings_flags(parser)
    cli.add_machine_flags(parser)
    run = Run("pretrain", parser.parse_args())
    corpus = run.open_corpus()
    run.train_language_model(run.new_model(run.tokenizer(corpus)), corpus)
    if "sft" in run.recipe.stages:
        run.say_next(run.next_stage("sft", init_from=run.arguments.out and run.folder))


if __name__ == "__main__":
    with leave_processes():
        cli.run(main)
