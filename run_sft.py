#!/usr/bin/env python
"""Step 2: learn to answer. The pre-trained model reads conversations and learns the assistant's turns.

python run_sft.py                         Tinytown's guide
python run_sft.py --recipe movie          the Cornell movie dialogs
python run_sft.py --from-scratch          without step 1, to see what it was good for
"""

from minigpt import cli
from minigpt.model.chat_model import ChatModel
from minigpt.model.gpt import GPT
from minigpt.run import Run, add_data_flags
from minigpt.training.device import leave_processes


def main() -> None:
    parser = cli.Parser(description=__doc__)
    add_data_flags(parser, "sft")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--init-from", help="model folder to start from (default trained_models/RECIPE/pretrain)")
    start.add_argument("--from-scratch", action="store_true", help="start from random weights in that model's shape")
    cli.add_settings_flags(parser)
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    run = Run("sft", arguments)
    parent = run.folder_of("pretrain", arguments.init_from)
    chat = run.parent_model(parent)
    if arguments.from_scratch:
        chat = ChatModel(GPT(chat.gpt.config), chat.tokenizer)
    run.train_language_model(chat, run.open_corpus(), None if arguments.from_scratch else parent)
    reward = [run.next_stage("reward", init_from=arguments.out and run.folder)] if "reward" in run.recipe.stages else []
    run.say_next(*reward, ["run_chat.py", "--model", str(run.folder)])


if __name__ == "__main__":
    with leave_processes():
        cli.run(main)
