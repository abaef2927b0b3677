"""Knowledge of Tinytown: questions whose answers are known, put to a model, marked by the town's grader.

    minigpt evaluate knowledge                                  the models in trained_models/tinytown
    minigpt evaluate knowledge --model some/folder --questions 300
    minigpt evaluate knowledge --shots 0 4                      ask the pre-trained model after 0 and 4 worked examples

Asked residents are those that the dialogues of fine-tuning talk about; held-out residents appear only in the articles
of pre-training, so answering about them takes knowledge from there. These questions are answered greedily.

A model that chats is also asked what the town cannot know, at the chat's own temperature: "honest" is the share of
replies that say so, and "declined" that of the questions about residents, asked in the same way, that it claims not to
know.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .. import cli
from ..data.examples import Prompt, Turn
from ..errors import UserError
from ..model.chat_model import ChatModel
from ..model.checkpoint import load_model
from ..model.responses import respond
from ..model.sampling import CHATTY, GREEDY, Sampling
from ..registry import stages_of
from ..tinytown import HonestyQuestion, Question, Town
from ..tinytown.topics import capitalise
from ..training.device import detect

REPLY_TOKENS = 48
COLUMNS = (("asked", False), ("held_out", False), ("held_out", True))


@dataclass(frozen=True)
class Marks:
    """Shares of the replies that are right, and good (right, polite, concise and fluent); `n` questions."""

    right: float
    good: float
    n: int


@dataclass(frozen=True)
class Honesty:
    """`honest`: which share of the questions that the town cannot answer was declined, also `by_kind`; `declined`:
    which share of `n` questions about residents was."""

    honest: float
    declined: float
    n: int
    by_kind: dict[str, float]


def ask(chat: ChatModel, questions: Sequence[Question | HonestyQuestion], sampling: Sampling = GREEDY) -> list[str]:
    """The model's reply to each question, as the chat would put it."""
    prompts = [Prompt(question.conversation) for question in questions]
    if not all(chat.fit(prompt.turns, REPLY_TOKENS) for prompt in prompts):
        raise UserError(f"a context of {chat.context} tokens is too short for the town's questions and their answers.")
    return [response.text for response in respond(chat, prompts, REPLY_TOKENS, sampling)]


def ask_with_examples(
    model: ChatModel, questions: Sequence[Question], shots: int, town: Town, seed: int = 0
) -> list[str]:
    """Replies of a model that has only read, asked in plain text after `shots` worked examples (Brown et al. 2020).

    The examples are short answers about asked residents and the same kind of fact; as many are used as fit the context.
    None names the resident in question: "Leo Garner's sibling? Bess Garner." answers a question about Bess Garner too.
    The reply is the first sentence that the model goes on with.
    """
    rng = random.Random(seed)
    examples = town.questions("asked", min(600, 10 * len(town.residents)), seed=seed + 1)
    reader = replace(model, is_chat=False)
    room = model.context - REPLY_TOKENS
    prompts = []
    for question in questions:
        others = [e for e in examples if question.resident.name not in (e.resident.name, e.answer)]
        same = [e for e in others if e.fact == question.fact]
        lines = [f"{e.text} {capitalise(e.answer)}." for e in rng.sample(same, min(shots, len(same)))]
        while len(model.tokenizer.encode(" ".join([*lines, question.text]))) >= room and lines:
            lines.pop(0)
        prompts.append(Prompt((Turn("user", " ".join([*lines, question.text])),)))
    line_end = model.tokenizer.encode("\n")
    return [f"{r.text.split('.')[0]}." for r in respond(reader, prompts, REPLY_TOKENS, GREEDY, stop=line_end)]


def mark(town: Town, questions: Sequence[Question], replies: Sequence[str]) -> Marks:
    grades = [town.grade(q.conversation, reply) for q, reply in zip(questions, replies, strict=True)]
    return Marks(sum(g.right for g in grades) / len(grades), sum(g.good for g in grades) / len(grades), len(grades))


def honesty(chat: ChatModel, town: Town, count: int, seed: int = 0) -> Honesty:
    """Ask `count` questions that the town cannot answer, and as many about residents, half of them held-out ones, at
    the temperature of the chat page."""
    sampling = replace(CHATTY, seed=seed)
    outside = town.out_of_town(count, seed)
    right: dict[str, list[bool]] = {}
    for question, reply in zip(outside, ask(chat, outside, sampling), strict=True):
        right.setdefault(question.kind, []).append(town.grade(question.conversation, reply).right)
    residents = [q for which in ("asked", "held_out") for q in town.questions(which, (count + 1) // 2, seed)]
    declined = [town.grader.declines(reply) for reply in ask(chat, residents, sampling)]
    return Honesty(
        sum(map(sum, right.values())) / len(outside),
        sum(declined) / len(declined),
        len(declined),
        {kind: sum(marks) / len(marks) for kind, marks in right.items()},
    )


def main() -> None:
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--model", action="append", metavar="FOLDER", help="model folder; may be repeated")
    parser.add_argument("--questions", type=int, default=400, help="questions for each column (default 400)")
    parser.add_argument(
        "--shots", type=int, nargs="*", help="worked examples in the prompt, for models that have only read"
    )
    parser.add_argument("--seed", type=int, default=0, help="which questions are drawn")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="also print the first N questions and replies")
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    if arguments.questions < 1:
        raise UserError("--questions must be at least 1.")
    town = Town()
    folders = [Path(m) for m in arguments.model or ()] or [model.folder for model in stages_of("tinytown")]
    if not folders:
        raise UserError(
            "trained_models/tinytown holds no model; run run_pretrain.py and run_sft.py, or name one with --model."
        )
    headings = zip(("asked", "held out", "new wording", "honest", "declined"), (8, 10, 12, 8, 9), strict=True)
    print(f"{'share of right answers, greedy':50} " + " ".join(f"{name:>{width}}" for name, width in headings))
    for folder in folders:
        model = load_model(folder, detect(arguments.device, arguments.dtype).device)
        for shots in [None] if model.is_chat else (arguments.shots or [0, 2, 4]):
            row, shown = [], []
            for which, new_wording in COLUMNS:
                try:
                    questions = town.questions(which, arguments.questions, arguments.seed, unseen_phrasing=new_wording)
                except ValueError as error:
                    raise UserError(f"--questions {arguments.questions}: {error}.") from None
                replies = ask(model, questions) if shots is None else ask_with_examples(model, questions, shots, town)
                row.append(mark(town, questions, replies).right)
                shown += [(q.text, reply, q.answer) for q, reply in zip(questions, replies, strict=True)][
                    : arguments.show
                ]
            name = str(folder) if shots is None else f"{folder}, {shots} examples in the prompt"
            line = f"{name:50} {row[0]:8.1%} {row[1]:10.1%} {row[2]:12.1%}"
            if shots is None:
                candour = honesty(model, town, arguments.questions, arguments.seed)
                line += f" {candour.honest:8.1%} {candour.declined:9.1%}"
            print(line, flush=True)
            for text, reply, answer in shown:
                print(f"    {text}\n        {reply}    [{answer}]")
