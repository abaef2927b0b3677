#!/usr/bin/env python
"""Step 5: talk to what you trained, in the terminal.

    python run_chat.py                                    the latest model in trained_models/, else the shipped one
    python run_chat.py --model trained_models/movie/sft
    python run_chat.py --ask "Where does Max Chase live?"

While talking: /clear forgets the conversation, /qa and /dialogue change the mode, an empty line or /quit ends it.
"""

import dataclasses
import sys
from pathlib import Path

from minigpt import Sampling, UserError, flags
from minigpt.chat import MODES, Chat
from minigpt.checkpoint import CARD, load_model, need_tokenizer, read_card
from minigpt.runtime import detect
from minigpt.stage import MODELS


def latest_model() -> Path:
    """The finished model of stage SFT that was saved last; the shipped one if none was trained here."""
    own = [
        p
        for p in MODELS.glob(f"*/sft/{CARD}")
        if p.parent.parent.name != "shipped" and read_card(p.parent).get("finished")
    ]
    found = max(own, key=lambda path: path.stat().st_mtime, default=MODELS / "shipped" / "sft" / CARD)
    return found.parent


def answer(chat: Chat, text: str) -> None:
    try:
        for piece in chat.reply(text):
            print(piece, end="", flush=True)
    except ValueError as error:
        print(f"({error})", end="")
    except KeyboardInterrupt:
        print(" (stopped)", end="")
    print()
    if chat.dropped:
        print(f"(the {chat.dropped} oldest turns no longer fit the context and were left out)")


def talk(chat: Chat) -> None:
    while True:
        try:
            text = input("you:   ").strip()
        except EOFError:
            print()
            return
        if text in ("", "/quit"):
            return
        if text == "/clear":
            chat.clear()
        elif text.removeprefix("/") in MODES and text.startswith("/"):
            chat.mode = text.removeprefix("/")
        else:
            print("model: ", end="", flush=True)
            answer(chat, text)


def main() -> None:
    parser = flags.Parser(description=__doc__)
    parser.add_argument("--model", help="model folder (default: the latest in trained_models/)")
    parser.add_argument("--ask", metavar="TEXT", help="ask one question, print the reply and leave")
    parser.add_argument(
        "--mode", choices=MODES, default="dialogue", help="dialogue remembers earlier turns, qa does not"
    )
    parser.add_argument("--max-new-tokens", type=int, default=80, help="longest reply, in tokens (default 80)")
    parser.add_argument(
        "--beam-width", type=int, default=0, help="search for the likeliest reply with that many candidates"
    )
    group = parser.add_argument_group("sampling")
    group.add_argument(
        "--temperature", type=float, default=0.7, help="below 1 safer, above 1 wilder, 0 always the likeliest"
    )
    group.add_argument("--top-k", type=int, default=0, help="draw only from the K likeliest tokens (0: all)")
    group.add_argument(
        "--top-p", type=float, default=0.9, help="draw from the fewest tokens that reach this probability"
    )
    group.add_argument("--min-p", type=float, default=0.0, help="leave out tokens less than this share of the best one")
    group.add_argument(
        "--repetition-penalty", type=float, default=1.0, help="above 1, tokens already used become less likely"
    )
    group.add_argument(
        "--no-repeat-ngram", type=int, default=0, help="never write the same N tokens twice (0: allowed)"
    )
    group.add_argument("--seed", type=int, default=0, help="the same seed gives the same replies")
    flags.add_machine_flags(parser)
    arguments = parser.parse_args()
    sampling = Sampling(**flags.given(arguments, [field.name for field in dataclasses.fields(Sampling)]))
    if arguments.max_new_tokens < 1 or arguments.beam_width < 0:
        raise UserError("--max-new-tokens must be at least 1 and --beam-width at least 0.")
    folder = Path(arguments.model) if arguments.model else latest_model()
    model = load_model(folder, detect(arguments.device, arguments.dtype).device)
    need_tokenizer(model, folder)
    chat = Chat(model, sampling, arguments.mode, arguments.max_new_tokens, arguments.beam_width)
    if arguments.ask:
        answer(chat, arguments.ask)
        return
    card = read_card(folder)
    print(f"{folder}: {card.get('stage', 'a model')} of {card.get('recipe', 'unknown origin')}. An empty line ends it.")
    if not model.answers:
        print("This model has only read, it has not learned to answer: run_sft.py teaches it.", file=sys.stderr)
    talk(chat)


if __name__ == "__main__":
    flags.run(main)
