#!/usr/bin/env python
"""Step 5: talk to what you trained, in the browser or in the terminal.

    python run_chat.py                                    the chat page, with all models in trained_models/
    python run_chat.py --terminal                         the latest model in trained_models/, else the shipped one
    python run_chat.py --terminal --model trained_models/movie/sft
    python run_chat.py --ask "Where does Max Chase live?"
    python run_chat.py --host 0.0.0.0 --token apple-tree  a page for the whole classroom

While talking in the terminal: /clear forgets the conversation, /qa and /dialogue change the mode, an empty line or
/quit ends it. The page's server ends with Ctrl-C.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from minigpt import Sampling, UserError, cli
from minigpt.chat import CHATTY, MODES, Chat
from minigpt.model.checkpoint import CARD, load_model, read_card
from minigpt.run import MODELS
from minigpt.training.device import detect


def latest_model() -> Path:
    """The finished model that can answer and was saved last; the shipped one if none was trained here."""
    own = []
    for card in (card for stage in ("sft", "ppo", "dpo") for card in MODELS.glob(f"*/{stage}/{CARD}")):
        try:
            if card.parent.parent.name != "shipped" and read_card(card.parent).get("finished"):
                own.append(card)
        except UserError as error:
            print(f"not read: {error}", file=sys.stderr)
    shipped = MODELS / "shipped" / "ppo" / CARD
    return max(own, key=lambda path: path.stat().st_mtime, default=shipped).parent


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
        print(f"(the {chat.dropped} oldest turns were left out)")


def talk(chat: Chat) -> None:
    while True:
        try:
            text = cli.typed(input("you:   ")).strip()
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


def serve(arguments: argparse.Namespace) -> None:
    """The chat page, until Ctrl-C."""
    from minigpt.web.server import Server, log_to_stderr  # the terminal needs no web server
    from minigpt.web.settings import Settings

    models, default = MODELS, None
    if arguments.model:
        folder = Path(arguments.model).resolve()
        card = read_card(folder)
        if not card.get("finished"):
            raise UserError(f"{arguments.model} holds no model that a run has finished; name one that has.")
        if card.get("stage") == "reward":
            raise UserError(f"{arguments.model} is a reward model: it scores answers, it cannot write; name another.")
        models, default = folder.parent.parent, f"{folder.parent.name}/{folder.name}"
    device = str(detect(arguments.device, arguments.dtype).device)
    settings = Settings(models=models, default_model=default, device=device, token=arguments.token)
    server = Server(settings, arguments.host, arguments.port)
    log_to_stderr()
    names = [name for name, entry in server.app.cache.entries().items() if entry.chats]
    print(f"page:      {server.url}")
    print(f"models:    {', '.join(names) or 'none yet; run_pretrain.py makes one'}")
    print(f"votes:     {settings.store_path}")
    print("Ctrl-C ends it.", flush=True)
    server.serve(open_browser=not arguments.no_browser)


def main() -> None:
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--terminal", action="store_true", help="talk here instead of in the browser")
    parser.add_argument("--model", help="model folder (default: the latest in trained_models/)")
    parser.add_argument("--ask", type=cli.typed, metavar="TEXT", help="ask one question, print the reply and leave")
    page = parser.add_argument_group("page")
    page.add_argument("--port", type=int, default=5000, help="port of the page (default 5000)")
    page.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets others in; wants --token (default 127.0.0.1)")
    page.add_argument("--token", help="a word that visitors must know")
    page.add_argument("--no-browser", action="store_true", help="do not open the page in a browser")
    talking = parser.add_argument_group("terminal (the page has these settings on it)")
    talking.add_argument("--mode", choices=MODES, help="dialogue (default) remembers earlier turns, qa does not")
    talking.add_argument("--max-new-tokens", type=int, help="longest reply, in tokens (default 80)")
    talking.add_argument("--beam-width", type=int, help="search for the likeliest reply with that many candidates")
    talking.add_argument("--temperature", type=float, help="below 1 safer, above 1 wilder, 0 likeliest (default 0.7)")
    talking.add_argument("--top-k", type=int, help="draw only from the K likeliest tokens (0: all)")
    talking.add_argument("--top-p", type=float, help="draw from the fewest tokens that reach this (default 0.9)")
    talking.add_argument("--min-p", type=float, help="leave out tokens less than this share of the best one")
    talking.add_argument("--repetition-penalty", type=float, help="above 1, tokens already used become less likely")
    talking.add_argument("--no-repeat-ngram", type=int, help="never write the same N tokens twice (0: allowed)")
    talking.add_argument("--seed", type=int, help="the same seed gives the same replies")
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    drawing = cli.given(arguments, [field.name for field in dataclasses.fields(Sampling)])
    sampling = dataclasses.replace(CHATTY, **drawing)
    settings = cli.given(arguments, ["mode", "max_new_tokens", "beam_width"])
    if settings.get("max_new_tokens", 1) < 1 or settings.get("beam_width", 0) < 0:
        raise UserError("--max-new-tokens must be at least 1 and --beam-width at least 0.")
    if not (arguments.terminal or arguments.ask):
        if unused := [*drawing, *settings]:
            raise UserError(f"--{unused[0].replace('_', '-')} is for --terminal and --ask; the page has it on it.")
        if arguments.model and not (Path(arguments.model) / "config.json").is_file():
            raise UserError(f"{arguments.model} holds no model (no config.json).")
        serve(arguments)
        return
    folder = Path(arguments.model) if arguments.model else latest_model()
    model = load_model(folder, detect(arguments.device, arguments.dtype).device)
    chat = Chat(model, sampling, **settings)
    if arguments.ask:
        answer(chat, arguments.ask)
        return
    card = read_card(folder)
    print(f"{folder}: {card.get('stage', 'a model')} of {card.get('recipe', 'unknown origin')}. An empty line ends it.")
    if not model.is_chat:
        print("This model has only read, it has not learned to answer: run_sft.py teaches it.", file=sys.stderr)
    talk(chat)


if __name__ == "__main__":
    cli.run(main)
