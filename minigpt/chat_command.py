"""Talking to a model: the chat page's server, a conversation in the terminal, or one question on the command line."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from . import cli
from .chat import MODES, Chat
from .errors import UserError
from .model.checkpoint import load_model
from .model.sampling import CHATTY, Sampling
from .registry import MODELS, SHIPPED, Model, default_model, find_models, read_model, unpack_shipped
from .training.device import detect

HELP = """/clear      forget the conversation
/qa         answer each question by itself
/dialogue   remember the conversation
/quit       leave; an empty line, quit, exit and Ctrl-D do so too"""
LEAVE = ("", "/quit", "/exit", "quit", "exit")


def parser(description: str | None) -> cli.Parser:
    parser = cli.Parser(description=description)
    parser.add_argument("--terminal", action="store_true", help="talk here instead of in the browser")
    parser.add_argument("--model", type=Path, help="model folder (default: the latest in trained_models/)")
    parser.add_argument("--ask", type=cli.typed, metavar="TEXT", help="ask one question, print the reply and leave")
    page = parser.add_argument_group("page")
    page.add_argument("--port", type=int, default=5000, help="port of the page (default 5000)")
    page.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets others in; wants --token (default 127.0.0.1)")
    page.add_argument("--token", help="a word that visitors must know")
    page.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="answer to this name too, without a token"
    )
    page.add_argument("--behind-proxy", action="store_true", help="believe an https proxy's X-Forwarded headers")
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
    return parser


def start(arguments: argparse.Namespace) -> None:
    """Do what the flags ask for. Raises UserError for flags that do not go together, and for a missing model."""
    drawing = cli.given(arguments, [field.name for field in dataclasses.fields(Sampling)])
    sampling = dataclasses.replace(CHATTY, **drawing)
    settings = cli.given(arguments, ["mode", "max_new_tokens", "beam_width"])
    if settings.get("max_new_tokens", 1) < 1 or settings.get("beam_width", 0) < 0:
        raise UserError("--max-new-tokens must be at least 1 and --beam-width at least 0.")
    if arguments.model is None or arguments.model.parent == MODELS / SHIPPED:
        unpack_shipped()
    if arguments.terminal or arguments.ask:
        model = chosen_model(arguments.model)
        chat_model = load_model(model.folder, detect(arguments.device, arguments.dtype).device)
        chat = Chat(chat_model, sampling, **settings)
        # Beside the reply, not in it: what --ask prints may go into a file.
        print(f"{model.folder}: {model.stage} of {model.card.get('recipe', 'unknown origin')}", file=sys.stderr)
        if not chat_model.is_chat:
            print("This model has only read, it has not learned to answer: run_sft.py teaches it.", file=sys.stderr)
        if arguments.ask:
            say(chat, arguments.ask)
        else:
            talk(chat)
    elif unused := [*drawing, *settings]:
        raise UserError(f"--{unused[0].replace('_', '-')} is for --terminal and --ask; the page has it on it.")
    else:
        serve(arguments)


def chosen_model(folder: Path | None) -> Model:
    """The model in `folder`, finished or not; without one, the one to talk to. Raises UserError if there is none."""
    if folder is not None:
        return read_model("/".join(folder.resolve().parts[-2:]), folder)
    chosen = default_model(find_models().values())
    if chosen is None:
        raise UserError(f"there is no trained model in {MODELS}, nor in {MODELS / SHIPPED}; run_pretrain.py makes one.")
    return chosen


def say(chat: Chat, text: str) -> None:
    """Print the reply as it is written. Ctrl-C ends the reply, not the conversation."""
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
    """A conversation, until the user leaves."""
    print("/help lists the commands.", file=sys.stderr)
    while True:
        try:
            text = cli.typed(input("you:   ")).strip()
        except EOFError:
            print()
            return
        if text.lower() in LEAVE:
            return
        if text == "/help":
            print(HELP)
        elif text == "/clear":
            chat.clear()
        elif text.startswith("/") and text.removeprefix("/") in MODES:
            chat.mode = text.removeprefix("/")
        else:
            print("model: ", end="", flush=True)
            say(chat, text)


def serve(arguments: argparse.Namespace) -> None:
    """The chat page, until Ctrl-C."""
    from .web.security import split_host
    from .web.server import Server, log_to_stderr  # the terminal needs no web server
    from .web.settings import Settings

    where: dict[str, Any] = {}
    if arguments.model:
        if not (arguments.model / "config.json").is_file():
            raise UserError(f"{arguments.model} holds no model (no config.json).")
        model = chosen_model(arguments.model)
        if not model.finished:
            raise UserError(f"{arguments.model} holds no model that a run has finished; name one that has.")
        if not model.writes:
            raise UserError(f"{arguments.model} is a reward model: it scores answers, it cannot write; name another.")
        where = {"models": arguments.model.resolve().parents[1], "default_model": model.name}
    device = str(detect(arguments.device, arguments.dtype).device)
    for name in arguments.allow_host:
        if split_host(name) != name.lower() or ":" in name.strip("[]"):
            raise UserError(f"--allow-host {name} is no name of a host; leave out the scheme and the port.")
    hosts = tuple(name.lower() for name in arguments.allow_host)
    settings = Settings(device=device, token=arguments.token, hosts=hosts, behind_proxy=arguments.behind_proxy, **where)
    server = Server(settings, arguments.host, arguments.port)
    log_to_stderr()
    names = [name for name, entry in server.app.cache.entries().items() if entry.writes]
    print(f"page:      {server.url}")
    if others := server.urls_for_others:
        print(f"others:    {' or '.join(others)}")
    print(f"models:    {', '.join(names) or 'none yet; run_pretrain.py makes one'}")
    print(f"votes:     {settings.store_path}")
    print("Ctrl-C ends it.", flush=True)
    server.serve(open_browser=not arguments.no_browser)
