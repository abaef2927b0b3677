"""The world: who lives in Tinytown, what stands there, what happens when. Drawn from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import UserError
from .people import FIRST_NAMES, JOBS, LAST_NAMES, RESIDENT_TOPICS
from .places import EVENTS, HOURS, PLACES, SEASONS, TOWN_TOPICS, WEATHER
from .topics import PRONOUNS, Reference, Topic, by_name

#: Every topic of the town by its name, in a fixed order.
TOPICS = {topic.name: topic for topic in RESIDENT_TOPICS + TOWN_TOPICS}

#: Residents come in quartets: two sibling pairs, so that both halves of the town close under
#: "sibling" and "best friend". Names set the upper bound.
QUARTET = 4
MOST_RESIDENTS = QUARTET * len(LAST_NAMES)
#: How many live there unless somebody asks for another number.
RESIDENTS = 200


@dataclass(frozen=True)
class Subject:
    """Something one can ask about; `facts` maps the name of a topic to the true value."""

    name: str
    about: str
    facts: dict[str, str]

    def topics(self) -> list[Topic]:
        """The topics this subject has a fact for."""
        return [TOPICS[name] for name in self.facts]

    @property
    def reference(self) -> Reference:
        """This subject by its name."""
        return by_name(self.name)


@dataclass(frozen=True)
class Resident(Subject):
    """A person. `asked` residents occur in the dialogues, the others only in the articles."""

    pronoun: str
    asked: bool

    @property
    def first(self) -> str:
        """The first name."""
        return self.name.split()[0]

    def pronouns_in(self, template: str) -> Reference:
        """This resident by pronouns; by name where they would be clumsy ("the best friend of her")."""
        return self.reference if "of {whom}" in template else PRONOUNS[self.pronoun]


class World:
    """All subjects of Tinytown and their facts. The same seed gives the same world everywhere.

    `residents` is a multiple of 4, from 8 to 240.
    """

    def __init__(self, seed: int = 0, residents: int = RESIDENTS) -> None:
        if residents % QUARTET or not 2 * QUARTET <= residents <= MOST_RESIDENTS:
            raise UserError(
                f"Tinytown has a multiple of {QUARTET} residents, from {2 * QUARTET} to {MOST_RESIDENTS};"
                f" got {residents}."
            )
        self.seed = seed
        self.residents = self._draw_residents(residents)
        self.places = self._draw_places()
        self.events = self._draw_events()
        self.seasons = self._draw_seasons()
        rng = self.stream("town")
        about_town = [topic for topic in TOWN_TOPICS if topic.about == "town"]
        self.town = Subject("Tinytown", "town", {topic.name: rng.choice(topic.values) for topic in about_town})

    def stream(self, purpose: str) -> random.Random:
        """A random stream for one purpose, so that one part of the town can change without the others."""
        return random.Random(f"tinytown/{self.seed}/{purpose}")

    def subjects(self) -> Iterator[Subject]:
        """Everything one can ask about."""
        yield from self.residents
        yield from self.sights()

    def sights(self) -> list[Subject]:
        """Everything one can ask about except the residents."""
        return [*self.places, *self.events, *self.seasons, self.town]

    def values(self, topic: Topic) -> tuple[str, ...]:
        """The closed list of values of a topic; for friends and siblings, the names of all residents."""
        return topic.values or tuple(resident.name for resident in self.residents)

    def _draw_residents(self, count: int) -> list[Resident]:
        rng = self.stream("residents")
        names = self._draw_names(rng, count)
        half = len(names) // 2
        residents: list[Resident] = []
        for asked, members in ((True, names[:half]), (False, names[half:])):
            siblings, friends = _bonds([name for name, _ in members])
            for name, pronoun in members:
                facts = {topic.name: rng.choice(topic.values) for topic in RESIDENT_TOPICS if topic.values}
                facts["workplace"] = rng.choice(JOBS[facts["job"]])
                facts |= {"friend": friends[name], "sibling": siblings[name]}
                ordered = {topic.name: facts[topic.name] for topic in RESIDENT_TOPICS}
                residents.append(Resident(name, "resident", ordered, pronoun, asked))
        return residents

    @staticmethod
    def _draw_names(rng: random.Random, count: int) -> list[tuple[str, str]]:
        """Full names with pronouns, each sibling pair side by side under one last name; no name twice."""
        firsts = [(first, pronoun) for pronoun, group in FIRST_NAMES.items() for first in group]
        lasts = list(LAST_NAMES)
        rng.shuffle(firsts)
        rng.shuffle(lasts)
        names = []
        for i in range(count):
            pair = i // 2
            # Round after round through the first names; each round meets other last names, so none repeats.
            first, pronoun = firsts[(i + i // len(firsts)) % len(firsts)]
            names.append((f"{first} {lasts[pair % len(lasts)]}", pronoun))
        pairs = [names[i : i + 2] for i in range(0, count, 2)]
        rng.shuffle(pairs)
        return [name for pair in pairs for name in pair]

    def _draw_places(self) -> list[Subject]:
        rng = self.stream("places")
        streets = list(TOPICS["place_street"].values)
        rng.shuffle(streets)
        return [
            Subject(
                f"the {place}",
                "place",
                {"place_street": streets[i % len(streets)], "opens": rng.choice(HOURS), "offer": offer},
            )
            for i, (place, offer) in enumerate(PLACES.items())
        ]

    def _draw_events(self) -> list[Subject]:
        rng = self.stream("events")
        topics = [topic for topic in TOWN_TOPICS if topic.about == "event"]
        return [
            Subject(f"the {event}", "event", {topic.name: rng.choice(topic.values) for topic in topics})
            for event in EVENTS
        ]

    def _draw_seasons(self) -> list[Subject]:
        rng = self.stream("seasons")
        treats = rng.sample(TOPICS["treat"].values, len(SEASONS))
        return [
            Subject(season, "season", {"weather": rng.choice(WEATHER[season]), "treat": treat})
            for season, treat in zip(SEASONS, treats, strict=True)
        ]


def _bonds(names: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Siblings and best friends within one half of the town, both symmetric, never the same person.

    Neighbours in the list are siblings; the younger of one pair is the friend of the elder of the next.
    """
    pairs = [(names[i], names[i + 1]) for i in range(0, len(names), 2)]
    siblings: dict[str, str] = {}
    friends: dict[str, str] = {}
    for (elder, younger), (next_elder, _) in zip(pairs, pairs[1:] + pairs[:1], strict=True):
        siblings |= {elder: younger, younger: elder}
        friends |= {younger: next_elder, next_elder: younger}
    return siblings, friends
