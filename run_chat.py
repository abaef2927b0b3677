#!/usr/bin/env python
"""Step 5: talk to what you trained, in the browser or in the terminal.

    python run_chat.py                                    the chat page, with all models in trained_models/
    python run_chat.py --terminal                         the latest model in trained_models/, else the shipped one
    python run_chat.py --terminal --model trained_models/movie/sft
    python run_chat.py --ask "Where does Max Chase live?"
    python run_chat.py --host 0.0.0.0 --token apple-tree  a page for the whole classroom

While talking in the terminal, /help lists the commands. The page's server ends with Ctrl-C.
"""

from minigpt import cli
from minigpt.chat_command import parser, start


def main() -> None:
    start(parser(__doc__).parse_args())


if __name__ == "__main__":
    cli.run(main)
