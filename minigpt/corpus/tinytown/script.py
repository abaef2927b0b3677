"""A television script in the columns of the Simpsons file, with one main character to imitate.

The main character always speaks after three lines of the others, and the right answer stands in those lines
(who brought what, who wants to meet where) or among the character's own facts.
"""

from __future__ import annotations

import csv
import io
import random
import re
from dataclasses import dataclass

from .people import FOODS
from .places import PLACES
from .topics import with_article
from .world import Resident, World

COLUMNS = (
    "id", "episode_id", "number", "raw_text", "timestamp_in_ms", "speaking_line", "character_id",
    "location_id",
    "raw_character_text", "raw_location_text", "spoken_words", "normalized_text", "word_count",
)  # fmt: skip
EPISODES = 90
SCENES_PER_EPISODE = 12
#: Other residents who appear beside the main character.
REGULARS = 6
LINE_MS = 4000

ASIDES = ("SMILING", "TO EVERYONE", "IN A WHISPER", "WAVING", "LAUGHING")
ASIDE_SHARE = 0.15
HELLOS = ("Good morning, everyone.", "What a day.", "There you are.", "I have been waiting for you.")
#: How the main character starts to speak, by the kind of the scene.
CATCHPHRASES = {
    "basket": "Bless my boots!",
    "meeting": "By the old town clock!",
    "favourite": "If you ask me,",
    "lost pet": "Chin up, my dear!",
}
#: What the others say of themselves, and how the main character says the same.
FAVOURITES = {
    "food": ("My favourite food is {}.", "my favourite food is {}."),
    "colour": ("My favourite colour is {}.", "my favourite colour is {}."),
    "hobby": ("My hobby is {}.", "my hobby is {}."),
    "instrument": ("I play the {}.", "I play the {}."),
    "pet": ("I have {a}.", "I have {a}."),
}


@dataclass(frozen=True)
class Line:
    """Words that somebody speaks, with a stage direction or "" in capitals."""

    speaker: Resident
    words: str
    aside: str = ""


@dataclass(frozen=True)
class Scene:
    """Lines at one place; the main character speaks once."""

    location: str
    lines: tuple[Line, ...]


def main_character(world: World) -> Resident:
    """The resident whom the script is about."""
    return next(resident for resident in world.residents if resident.asked)


def write_scenes(world: World) -> list[list[Scene]]:
    """The scenes of each episode. Only residents that the dialogues speak of appear."""
    rng = world.stream("script")
    star = main_character(world)
    others = [resident for resident in world.residents if resident.asked and resident is not star]
    # Two regulars with one first name would make "What does Ada have?" ambiguous.
    regulars = list({other.first: other for other in others if other.first != star.first}.values())[:REGULARS]
    return [[_scene(star, regulars, rng) for _ in range(SCENES_PER_EPISODE)] for _ in range(EPISODES)]


def _scene(star: Resident, regulars: list[Resident], rng: random.Random) -> Scene:
    one, two = rng.sample(regulars, 2)
    kind = rng.choice(list(CATCHPHRASES))
    if kind == "basket":
        talk, answer = _basket(star, one, two, rng)
    elif kind == "meeting":
        talk, answer = _meeting(star, one, two, rng)
    elif kind == "favourite":
        talk, answer = _favourite(star, one, two, rng)
    else:
        talk, answer = _lost_pet(one, two)
    lines = [*talk, Line(star, f"{CATCHPHRASES[kind]} {answer}")]
    if rng.random() < 0.5:
        lines.insert(0, Line(two, rng.choice(HELLOS)))
    if rng.random() < 0.3:
        lines.append(Line(one, f"Thank you, {star.first}."))
    lines = [Line(line.speaker, line.words, rng.choice(ASIDES) if rng.random() < ASIDE_SHARE else "") for line in lines]
    return Scene(rng.choice(list(PLACES)), tuple(lines))


def _basket(star: Resident, one: Resident, two: Resident, rng: random.Random) -> tuple[list[Line], str]:
    mine, yours = rng.sample(FOODS, 2)
    talk = [Line(one, f"I have {mine} in my basket."), Line(two, f"And I have {yours} in mine.")]
    if rng.random() < 0.5:
        return [*talk, Line(one, f"{star.first}, what do I have?")], f"You have {mine} in your basket."
    talk.append(Line(one, f"{star.first}, what does {two.first} have?"))
    return talk, f"{two.first} has {yours} in the basket."


def _meeting(star: Resident, one: Resident, two: Resident, rng: random.Random) -> tuple[list[Line], str]:
    here, there = rng.sample(list(PLACES), 2)
    talk = [Line(one, f"Let us meet at the {here}."), Line(two, f"No, let us meet at the {there}.")]
    if rng.random() < 0.5:
        return [
            *talk,
            Line(one, f"Where do I want to meet, {star.first}?"),
        ], f"You want to meet at the {here}."
    talk.append(Line(one, f"Where does {two.first} want to meet, {star.first}?"))
    return talk, f"{two.first} wants to meet at the {there}."


def _favourite(star: Resident, one: Resident, two: Resident, rng: random.Random) -> tuple[list[Line], str]:
    topic = rng.choice(list(FAVOURITES))
    theirs, own = FAVOURITES[topic]

    def say(template: str, speaker: Resident) -> str:
        value = speaker.facts[topic]
        return template.format(value, a=with_article(value))

    talk = [Line(one, say(theirs, one)), Line(two, say(theirs, two)), Line(one, f"And you, {star.first}?")]
    return talk, say(own, star)


def _lost_pet(one: Resident, two: Resident) -> tuple[list[Line], str]:
    pet = one.facts["pet_name"]
    talk = [
        Line(one, f"{pet} did not come home."),
        Line(two, f"Poor {one.first}."),
        Line(one, "I am so sad."),
    ]
    return talk, f"{pet} will be home by supper."


def script_file(world: World) -> str:
    """`script_lines.csv`: a row per line, a silent row before each scene, rows in no order, as published."""
    cast = {resident.name: number for number, resident in enumerate(world.residents, start=1)}
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
                    cast[name],
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
