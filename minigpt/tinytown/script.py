"""A television script in the columns of the Simpsons file, with one main character to imitate.

The right answer stands in the lines before it (who brought what, who wants to meet where, whose pet is lost) or among
the main character's own facts, and each kind of scene has a catchphrase. Some scenes go on after the answer: the main
character is asked again, perhaps about what it was told before. Not every take went well: in known shares the
catchphrase is missing or another's, or the answer is wrong. Choosing is what the reward model and PPO are for.
"""

from __future__ import annotations

import csv
import io
import random
import re
from dataclasses import dataclass, replace

from .people import FOODS, PET_NAMES
from .places import PLACES
from .topics import with_article
from .world import TOPICS, Resident, World

COLUMNS = (
    "id", "episode_id", "number", "raw_text", "timestamp_in_ms", "speaking_line", "character_id",
    "location_id",
    "raw_character_text", "raw_location_text", "spoken_words", "normalized_text", "word_count",
)  # fmt: skip
#: Taking a word from the lines before is learned from many examples, not from long training on few.
EPISODES = 480
SCENES_PER_EPISODE = 12
#: Other residents who appear beside the main character.
REGULARS = 24
LINE_MS = 4000

ASIDES = ("SMILING", "TO EVERYONE", "IN A WHISPER", "WAVING", "LAUGHING")
ASIDE_SHARE = 0.15
HELLOS = ("Good morning, everyone.", "What a day.", "There you are.", "I have been waiting for you.")
#: How the main character starts to speak, by the kind of the scene.
CATCHPHRASES = {
    "basket": "Bless my boots!",
    "meeting": "By the old town clock!",
    "own": "If you ask me,",
    "lost pet": "Chin up, my dear!",
}
#: How the main character's line came out, and how often: as it should, without the catchphrase, with that of another
#: kind of scene, or not true.
TAKES = {"good": 0.55, "plain": 0.2, "muddled": 0.1, "wrong": 0.15}


@dataclass(frozen=True)
class Matter:
    """Two residents say something of the same kind, and the first of them asks who said what. Or one of them says it,
    the main character likes what it hears, and is asked what it was.

    `{}` stands for a value, `{star}` for the main character's first name and `{name}` for that of the one asked about.
    """

    values: tuple[str, ...]
    says_one: str
    says_two: str
    asks_own: str
    asks_other: str
    answer_own: str
    answer_other: str
    likes: str


MATTERS = {
    "basket": Matter(
        FOODS,
        "I have {} in my basket.", "And I have {} in mine.",
        "{star}, what do I have?", "{star}, what does {name} have?",
        "You have {} in your basket.", "{name} has {} in the basket.", "I like {}.",
    ),
    "meeting": Matter(
        tuple(PLACES),
        "Let us meet at the {}.", "No, let us meet at the {}.",
        "Where do I want to meet, {star}?", "Where does {name} want to meet, {star}?",
        "You want to meet at the {}.", "{name} wants to meet at the {}.", "I like the {}.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class OwnFact:
    """What the others say of themselves, how one asks for it, and how the main character says it."""

    theirs: str
    question: str
    own: str


OWN_FACTS = {
    "food": OwnFact("My favourite food is {}.", "what is your favourite food?", "My favourite food is {}."),
    "colour": OwnFact("My favourite colour is {}.", "what is your favourite colour?", "My favourite colour is {}."),
    "hobby": OwnFact("My hobby is {}.", "what is your hobby?", "My hobby is {}."),
    "instrument": OwnFact("I play the {}.", "what do you play?", "I play the {}."),
    "pet": OwnFact("I have {a}.", "what pet do you have?", "I have {a}."),
}
#: Half of the scenes about the main character's facts; in the others two residents tell theirs first.
DIRECT_SHARE = 0.5
#: Of the scenes about matters, those in which one resident is alone with the main character; of all scenes, those that
#: go on with a question about its own facts.
ALONE_SHARE = 0.4
GOES_ON_SHARE = 0.3
AND_YOU = "And you, {star}?"
LOST = "{} did not come home."
HOME_AGAIN = "{} will be home by supper."


@dataclass(frozen=True)
class Line:
    """Words that somebody speaks, with a stage direction or "" in capitals."""

    speaker: Resident
    words: str
    aside: str = ""


@dataclass(frozen=True)
class Exchange:
    """What the others say, and what the main character answers if a take goes well or wrong."""

    kind: str
    talk: tuple[Line, ...]
    right: str
    wrong: str


@dataclass(frozen=True)
class Scene:
    """Lines at one place; `kind` is that of the main character's first answer."""

    kind: str
    location: str
    lines: tuple[Line, ...]


def main_character(world: World) -> Resident:
    """The resident whom the script is about."""
    return next(resident for resident in world.residents if resident.asked)


def cast(world: World) -> tuple[list[Resident], list[Resident]]:
    """The regulars of the script, and strangers who never appear in it. No two of them share a first name."""
    star = main_character(world)
    # "What does Ada have?" must not be ambiguous.
    others = list({r.first: r for r in world.residents if r.asked and r.first != star.first}.values())
    return others[:REGULARS], others[REGULARS:]


def write_scenes(world: World) -> list[list[Scene]]:
    """The scenes of each episode. Only residents that the dialogues speak of appear."""
    rng = world.stream("script")
    star, (regulars, _) = main_character(world), cast(world)
    return [[draw_scene(star, regulars, rng) for _ in range(SCENES_PER_EPISODE)] for _ in range(EPISODES)]


def draw_scene(star: Resident, others: list[Resident], rng: random.Random) -> Scene:
    """One scene of any kind with two of the others."""
    one, two = rng.sample(others, 2)
    kind = rng.choice(list(CATCHPHRASES))
    if kind in MATTERS and rng.random() < ALONE_SHARE:
        exchanges = _alone(kind, star, one, rng)
    elif kind in MATTERS:
        exchanges = [_matter(kind, star, one, two, rng)]
    elif kind == "own":
        exchanges = [_own(star, one, two, rng)]
    else:
        exchanges = [_lost_pet(one, two, rng)]
    if rng.random() < GOES_ON_SHARE:
        exchanges.append(_asked(star, one, rng.choice(list(OWN_FACTS)), rng))
    lines: list[Line] = []
    for exchange in exchanges:
        lines += [*exchange.talk, Line(star, perform(exchange, rng))]
    if rng.random() < 0.5:
        lines.insert(0, Line(two, rng.choice(HELLOS)))
    if rng.random() < 0.3:
        lines.append(Line(one, f"Thank you, {star.first}."))
    lines = [Line(line.speaker, line.words, rng.choice(ASIDES) if rng.random() < ASIDE_SHARE else "") for line in lines]
    return Scene(kind, rng.choice(list(PLACES)), tuple(lines))


def perform(exchange: Exchange, rng: random.Random) -> str:
    """The main character's line, in a take that went well or not."""
    take = rng.choices(list(TAKES), list(TAKES.values()))[0]
    answer = exchange.wrong if take == "wrong" else exchange.right
    if take == "plain":
        return answer
    others = [kind for kind in CATCHPHRASES if kind != exchange.kind]
    phrase = CATCHPHRASES[rng.choice(others) if take == "muddled" else exchange.kind]
    if phrase.endswith(",") and answer.startswith(("My ", "You ")):
        answer = answer[0].lower() + answer[1:]
    return f"{phrase} {answer}"


def _alone(kind: str, star: Resident, one: Resident, rng: random.Random) -> list[Exchange]:
    """Somebody says something, and asks later what it was."""
    matter = MATTERS[kind]
    said, other = rng.sample(matter.values, 2)
    says = Line(one, matter.says_one.format(said))
    asks = Line(one, matter.asks_own.format(star=star.first))
    return [
        Exchange(kind, (says,), matter.likes.format(said), matter.likes.format(other)),
        Exchange(kind, (asks,), matter.answer_own.format(said), matter.answer_own.format(other)),
    ]


def _matter(kind: str, star: Resident, one: Resident, two: Resident, rng: random.Random) -> Exchange:
    """The first of the two asks for what one of them said: "I" is the one, the name is the other."""
    matter = MATTERS[kind]
    values = dict(zip((one.first, two.first), rng.sample(matter.values, 2), strict=True))
    talk = [Line(one, matter.says_one.format(values[one.first])), Line(two, matter.says_two.format(values[two.first]))]
    meant, asks, answers = one, matter.asks_own, matter.answer_own
    if rng.random() < 0.5:
        meant, asks, answers = two, matter.asks_other, matter.answer_other
    talk.append(Line(one, asks.format(star=star.first, name=meant.first)))
    right, wrong = values.pop(meant.first), *values.values()
    return Exchange(kind, tuple(talk), answers.format(right, name=meant.first), answers.format(wrong, name=meant.first))


def _own(star: Resident, one: Resident, two: Resident, rng: random.Random) -> Exchange:
    """A question about the main character's facts, perhaps after two others have told theirs."""
    topic = rng.choice(list(OWN_FACTS))
    exchange = _asked(star, one, topic, rng)
    if rng.random() < DIRECT_SHARE:
        return exchange
    theirs = [Line(r, _fill(OWN_FACTS[topic].theirs, r.facts[topic])) for r in (one, two)]
    return replace(exchange, talk=(*theirs, Line(one, AND_YOU.format(star=star.first))))


def _asked(star: Resident, one: Resident, topic: str, rng: random.Random) -> Exchange:
    """One of the main character's facts, asked for in so many words."""
    fact, own = OWN_FACTS[topic], star.facts[topic]
    wrong = rng.choice([value for value in TOPICS[topic].values if value != own])
    asked = f"{star.first}, {fact.question}" if rng.random() < 0.5 else fact.question.capitalize()
    return Exchange("own", (Line(one, asked),), _fill(fact.own, own), _fill(fact.own, wrong))


def _lost_pet(one: Resident, two: Resident, rng: random.Random) -> Exchange:
    pet, other = rng.sample(PET_NAMES, 2)  # a cousin's, perhaps: it need not be the speaker's own
    talk = (Line(one, LOST.format(pet)), Line(two, f"Poor {one.first}."), Line(one, "I am so sad."))
    return Exchange("lost pet", talk, HOME_AGAIN.format(pet), HOME_AGAIN.format(other))


def _fill(template: str, value: str) -> str:
    return template.format(value, a=with_article(value))


def script_file(world: World) -> str:
    """`script_lines.csv`: a row per line, a silent row before each scene, rows in no order, as published."""
    characters = {resident.name: number for number, resident in enumerate(world.residents, start=1)}
    places = {place: number for number, place in enumerate(PLACES, start=1)}
    rows: list[tuple[object, ...]] = []
    for episode, scenes in enumerate(write_scenes(world), start=1):
        number = 0
        for scene in scenes:
            location = scene.location.title()
            where = (places[scene.location], location)
            direction = f"({location}: INT. {location.upper()} - DAY)"
            key = (len(rows) + 1, episode, number)
            rows.append((*key, direction, number * LINE_MS, "false", "", where[0], "", where[1], "", "", ""))
            number += 1
            for line in scene.lines:
                name = line.speaker.name
                aside = f"({line.aside}) " if line.aside else ""
                key = (len(rows) + 1, episode, number)
                raw = (
                    f"{name}: {aside}{line.words}",
                    number * LINE_MS,
                    "true",
                    characters[name],
                    where[0],
                    name,
                    where[1],
                )
                rows.append((*key, *raw, line.words, normalised(line.words), len(line.words.split())))
                number += 1
    world.stream("script rows").shuffle(rows)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return buffer.getvalue()


def normalised(words: str) -> str:
    """Lower case and no punctuation, as in the column `normalized_text`."""
    return re.sub(r"[^a-z0-9 ]", "", words.lower())
