#!/usr/bin/env python
"""Step 2: learn to answer. The pre-trained model reads conversations and learns the assistant's turns.

python run_sft.py                         Tinytown's guide
python run_sft.py --recipe movie          the Cornell movie dialogs
python run_sft.py --from-scratch          without step 1, to see what it was good for
"""

from minigpt import cli
from minigpt.run import Stage
from minigpt.training.device import leave_processes


def main() -> None:
    parser = cli.Parser(description=__doc__)
    cli.add_data_flags(parser, "sft")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--init-from", help="model folder to start from (default trained_models/RECIPE/pretrain)")
    start.add_argument("--from-scratch", action="store_true", help="start from random weights in that model's shape")
    cli.add_settings_flags(parser)
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    stage = Stage("sft", arguments)
    parent = stage.folder_of("pretrain", arguments.init_from)
    model = stage.parent_model(parent)
    if arguments.from_scratch:
        model = type(model)(model.config, model.tokenizer)
    stage.train(model, stage.open_corpus(), None if arguments.from_scratch else parent)
    stage.say(f"next:      python run_chat.py --model {stage.folder}")


if __name__ == "__main__":
    with leave_processes():
        cli.run(main)
