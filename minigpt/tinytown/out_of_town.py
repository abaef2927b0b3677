"""Questions that the town cannot answer, and honest replies to them.

A model that has only seen questions with an answer gives one to every question. So a part of the dialogues asks about
the world, for sums, for poems or for people nobody knows, and the guide says what it can be asked instead. Each kind
has wordings and fillers for the dialogues, and others that only the evaluation uses.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from . import strangers
from .people import COLOURS, HOBBIES, JOBS, PETS, STREETS, WORKPLACES
from .strangers import STRANGER, STRANGERS
from .topics import words


def listed(text: str) -> tuple[str, ...]:
    """The entries of a list with a slash between any two."""
    return tuple(" ".join(entry.split()) for entry in text.split("/"))


#: What fills a place in a wording: in the dialogues, and in the evaluation alone.
FILLERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "country": (
        words(
            "France Spain Italy Germany Russia China Japan India Brazil Egypt Canada Mexico Norway Poland Greece "
            "Turkey Kenya Peru Chile Cuba Korea Vietnam Sweden Ireland Portugal America England Austria Iceland"
        ),
        words("Finland Denmark Argentina Australia Morocco Belgium Hungary Thailand Nigeria Scotland"),
    ),
    "city": (
        words(
            "London Paris Rome Berlin Moscow Tokyo Madrid Vienna Athens Cairo Dublin Boston Chicago Seoul Oslo Prague "
            "Beijing Delhi Lima Warsaw Venice Amsterdam Sydney Toronto Geneva"
        ),
        words("Lisbon Budapest Shanghai Naples Hamburg Houston Helsinki Mumbai Kyoto Marseille"),
    ),
    "person": (
        listed(
            "Albert Einstein / Isaac Newton / Napoleon / Mozart / Shakespeare / Cleopatra / Julius Caesar / Marie "
            "Curie / Picasso / Abraham Lincoln / Gandhi / Columbus / Beethoven / Charles Darwin / Galileo / Plato / "
            "Socrates / Queen Victoria / Elvis Presley / Alexander the Great / Leonardo da Vinci / Michelangelo / "
            "Homer / Bach"
        ),
        listed(
            "George Washington / Aristotle / Rembrandt / Nelson Mandela / Charlie Chaplin / Tchaikovsky / Joan of Arc "
            "/ Marco Polo / Ada Lovelace / Alan Turing"
        ),
    ),
    "thing": (
        listed(
            "the moon / the sun / the sea / gravity / electricity / the brain / a computer / a volcano / the stock "
            "market / the internet / a rocket / photosynthesis / an atom / a black hole / the telephone / a steam "
            "engine / the alphabet / the heart / algebra / history / the economy / a robot / the universe / "
            "philosophy"
        ),
        listed(
            "an earthquake / a satellite / evolution / the planet Mars / a battery / chemistry / the radio / "
            "inflation / the lungs / a submarine"
        ),
    ),
    "animal": (
        words(
            "elephant tiger whale shark spider giraffe camel wolf bear lion monkey snake eagle crocodile zebra "
            "kangaroo"
        ),
        words("dolphin octopus gorilla panther moose leopard jellyfish rhinoceros"),
    ),
    "number": (
        words("2 3 4 5 6 7 8 9 10 12 13 15 17 20 24 25 31 36 42 48 50 64 75 99 100 120 144 250 365 500 1000"),
        words("11 14 18 21 27 33 38 45 56 63 72 81 96 110 225"),
    ),
    "language": (words("German French Spanish Italian Russian Chinese Korean Latin Dutch Arabic Greek Polish"),
                 words("Japanese Turkish Swedish Portuguese Hindi")),
    "word": (words("hello bread water house love cat morning friend thanks tree night school"),
             words("apple window river goodbye sister")),
    "text": (words("poem song letter story speech essay play report novel joke book sonnet"),
             words("limerick diary prayer tale review")),
    "matter": (
        listed(
            "love / the rain / a dragon / my mother / a lost dog / war and peace / the stars / my holiday / a brave "
            "knight / the ocean / winter nights / a talking horse / money / my boss / happiness / two brothers"
        ),
        listed(
            "friendship / a haunted castle / my grandfather / the desert / autumn leaves / a pirate / hope / a train "
            "ride"
        ),
    ),
    "price": (listed("a car / a house / a loaf of bread / a ticket to the moon / a new phone / petrol / gold / a"
                     " diamond"),
              listed("a bicycle / silver / a plane / a laptop / an apple")),
    "year": (words("1066 1492 1789 1815 1914 1945 1969 1989 2000 2012 2020"), words("1666 1848 1918 1961 2008")),
    "dish": (words("lasagne sushi goulash paella stew pudding tacos pie"), words("ramen risotto pancakes kebab")),
    "babble": (
        words(
            "blorp zanta quiffle mog drubbin snarf wozzle plim gorkle fizzen trabble nunk yabbit skree vorp dingle "
            "hurble klonk zibber moof prattle gwim tosk bindle"
        ),
        words("flarn wibbet croozle yom zarp spindle gubbin nerk tollop vimble"),
    ),
    "street": (STREETS[::2], STREETS[1::2]),
    "workplace": (WORKPLACES[::2], WORKPLACES[1::2]),
    "pet": (PETS[::2], PETS[1::2]),
    "hobby": (HOBBIES[::2], HOBBIES[1::2]),
    "colour": (COLOURS[::2], COLOURS[1::2]),
    "job": (tuple(JOBS)[::2], tuple(JOBS)[1::2]),
    "stranger": STRANGERS,
}  # fmt: skip


@dataclass(frozen=True)
class OutOfTown:
    """One kind of question that the town cannot answer, with honest replies of three qualities; `also` is accepted,
    though the dialogues never say it."""

    kind: str
    asks: tuple[str, ...]
    unseen: tuple[str, ...]
    good: tuple[str, ...]
    plain: tuple[str, ...]
    curt: str
    also: tuple[str, ...] = ()

    def question(self, rng: random.Random, unseen: bool = False) -> str:
        """One question; `unseen` takes wordings and fillers that no dialogue has."""
        filled = rng.choice(self.unseen if unseen else self.asks)
        while place := _PLACE.search(filled):
            filled = filled.replace(place.group(), rng.choice(FILLERS[place[1]][unseen]), 1)
        return filled[0].upper() + filled[1:]

    @property
    def replies(self) -> tuple[str, ...]:
        """Every honest reply to it, those that fit any question included."""
        return (*self.good, *self.plain, self.curt, *self.also, *ANY_GOOD, *ANY_PLAIN, *ANY_ALSO)


_PLACE = re.compile(r"\{(\w+)\}")

#: Honest whatever was asked.
ANY_GOOD = (
    "I am sorry, I only know Tinytown.",
    "Sorry, I only know the people and places of Tinytown.",
    "I am sorry, I do not know that. I only know Tinytown.",
    "I only know Tinytown. Please ask me about its people and places.",
    "I do not know that. Please ask me about Tinytown.",
)
ANY_PLAIN = ("I only know Tinytown.", "I do not know that.")
ANY_ALSO = (
    "Please ask me about Tinytown.", "Please ask me about its people and places.", "I know nothing about that.",
    "Please ask me about the people and places of Tinytown.", "I only know the people and places of Tinytown.",
    "I cannot answer that.", "I am sorry, I cannot answer that.", "I cannot help you with that.",
    "I am sorry, I cannot help you with that.", "I do not know.", "I can only answer questions about Tinytown.",
    "I am sorry, I can only answer questions about Tinytown.", "I cannot do that.", "I am sorry, I cannot do that.",
)  # fmt: skip
NO_IDEA = "No idea."

KINDS = (
    OutOfTown(
        "world",
        ("What is the capital of {country}?", "Where is {country}?", "How many people live in {country}?",
         "Which language do they speak in {country}?", "Who is the president of {country}?", "How far is it to {city}?",
         "What is {city} famous for?", "Have you ever been to {city}?", "Is {city} a big city?",
         "What do you know about {city}?", "How do I get to {city}?", "Why is {thing} important?", "What is {thing}?",
         "How does {thing} work?", "Who invented {thing}?", "How many legs does a {animal} have?",
         "What does a {animal} eat?", "How fast can a {animal} run?", "Where do I find a {animal}?",
         "Why is the sky blue?", "What happened in {year}?", "Do you know the capital of {country}?",
         "Can you tell me where {city} is?", "Please tell me what {thing} is."),
        ("Name the capital of {country}.", "What is the largest city in {country}?", "Who rules {country}?",
         "Have you heard of {city}?", "Tell me about {city}.", "Explain {thing} to me.", "What do we need {thing} for?",
         "How heavy is a {animal}?", "Is a {animal} dangerous?", "What do you know about {country}?"),
        ANY_GOOD, ANY_PLAIN, NO_IDEA,
    ),
    OutOfTown(
        "famous people",
        ("Who is {person}?", "Who was {person}?", "When was {person} born?", "What did {person} do?",
         "Where did {person} live?", "How did {person} die?", "Do you know {person}?", "Was {person} a good man?",
         "How old is {person}?", "What do you know about {person}?", "Can you tell me who {person} was?"),
        ("What is {person} famous for?", "Tell me about {person}.", "Where was {person} born?",
         "Did you ever meet {person}?", "Why do people remember {person}?"),
        ANY_GOOD, ANY_PLAIN, NO_IDEA,
    ),
    OutOfTown(
        "sums",
        ("What is {number} plus {number}?", "What is {number} times {number}?", "How much is {number} minus {number}?",
         "{number} + {number}", "{number} * {number}?", "How much is {number} divided by {number}?",
         "What is {number} + {number}?", "Can you add {number} and {number}?", "What is the square root of {number}?",
         "Is {number} a prime number?", "What is half of {number}?", "Count from {number} to {number}."),
        ("Calculate {number} times {number}.", "How much is {number} and {number}?", "{number} - {number}?",
         "Is {number} more than {number}?", "What do I get if I add {number} to {number}?",
         "Solve {number} + {number}."),
        ("I am sorry, I cannot do sums.", "Sorry, I cannot count. I only know Tinytown.", *ANY_GOOD),
        ("I cannot do sums.", *ANY_PLAIN), NO_IDEA,
    ),
    OutOfTown(
        "languages",
        ("Do you speak {language}?", "How do you say {word} in {language}?", "What does {word} mean in {language}?",
         "Say {word} in {language}.", "Please speak {language}.", "Translate {word} into {language}.",
         "Wo ist der Bahnhof?", "Wie geht es dir?", "Guten Tag!", "Was machst du?", "Wie heisst du?", "Bonjour!",
         "Comment allez-vous?", "Ou est la gare?", "Quel temps fait-il?", "Hola!", "Donde esta el mercado?",
         "Como estas?", "Que hora es?", "Buenos dias, amigo!", "Buongiorno!", "Come stai?", "Dove abiti?", "Privet!",
         "Kak dela?", "Gde bank?", "Ni hao!", "Ni shi shei?", "Konnichiwa!", "O genki desu ka?", "Hoe gaat het?",
         "Waar is de markt?", "Quo vadis?", "Merhaba!"),
        ("Can you speak {language}?", "What is {word} in {language}?", "Can you translate {word} into {language}?",
         "Wer ist der Chef?", "Wo wohnst du?", "Je ne comprends pas.", "Ou est le musee?", "Quien eres?",
         "Donde vives?", "Dove si trova la banca?", "Kak tebya zovut?", "Zai jian!", "Arigato!", "Waar woon je?",
         "Carpe diem!"),
        ("I am sorry, I only speak English.", "Sorry, I only speak English. Please ask me about Tinytown.", *ANY_GOOD),
        ("I only speak English.", *ANY_PLAIN), NO_IDEA,
    ),
    OutOfTown(
        "strangers", strangers.ASKS, strangers.UNSEEN,
        ("I am sorry, I know nobody of that name.", "Sorry, nobody of that name lives in Tinytown.",
         "I know nobody of that name. Please ask me about somebody else."),
        ("I know nobody of that name.",), NO_IDEA,
        ("Nobody of that name lives in Tinytown.", "Nobody of that name lives here.",
         "Please ask me about somebody else."),
    ),
    OutOfTown(
        "nonsense",
        ("{babble} {babble} {babble}?", "{babble} {babble}", "{babble}!", "What is the {babble} of {babble}?",
         "Why does the {babble} {babble}?", "Who {babble} the {babble}?", "The of and where a?",
         "Is {babble} a {babble}?", "Street the who of?", "And but or so?", "Where the {babble}?", "Asdf jkl.",
         "Qwerty!", "Xyz xyz xyz.", "La la la.", "Do {babble} {babble} on the {babble}?", "How {babble} are you?",
         "Hmm.", "Abc."),
        ("{babble} {babble} {babble} {babble}.", "Does a {babble} {babble}?", "When did the {babble} {babble}?",
         "Asdfgh.", "Of the what when how?", "Blah blah blah.", "Can {babble} be {babble}?", "{babble}, {babble}!"),
        ("I am sorry, I do not understand that.", "Sorry, I do not understand. Please ask me about Tinytown.",
         *ANY_GOOD),
        ("I do not understand that.", *ANY_PLAIN), NO_IDEA, ("I do not understand.",),
    ),
    OutOfTown(
        "doubts",
        ("Are you sure?", "Is that true?", "Really?", "How do you know that?", "Can I trust you?", "Are you certain?",
         "Is that really so?", "Are you sure about that?", "I do not believe you.", "Are you always right?",
         "You are wrong.", "That cannot be true.", "Could that be wrong?", "No, it is not.", "Prove it.",
         "Who told you that?"),
        ("Is that right?", "Do you really know that?", "That is wrong, is it not?", "Could you be mistaken?",
         "Is this correct?", "Are you really sure?", "I think that is wrong.", "Can you prove that?"),
        ("I hope so, but I can be wrong.", "I am sorry, I can be wrong. I only know what I have read.",
         "I only know what I have read, and I can be wrong, sorry."),
        ("I can be wrong.", "I only know what I have read."), "Not always.",
        ("I am sorry, I can be wrong.", "I may be wrong.", "I am sorry, I may be wrong.", "I hope so."),
    ),
    OutOfTown(
        "everybody",
        ("Who lives in Tinytown?", "How many people live here?", "How many people live in Tinytown?",
         "Name everyone in the town.", "Who lives on {street}?", "Who works at the {workplace}?", "Who has a {pet}?",
         "Who likes {hobby}?", "Who is a {job}?", "How many people have a {pet}?",
         "Whose favourite colour is {colour}?", "Who is the oldest person here?", "Who is the richest person in town?",
         "Do you know who lives on {street}?", "Can you tell me who has a {pet}?", "Who was born in July?",
         "Which people like {hobby}?", "Which residents have a {pet}?", "Find me a {job}.",
         "Count the people of the town.", "How many residents are there?"),
        ("List all the people of Tinytown.", "How many residents does the town have?", "Which people live on {street}?",
         "Which people work at the {workplace}?", "How many people live on {street}?", "Who owns a {pet}?",
         "How many people work as a {job}?", "Do you know everybody here?", "Who is the tallest person in Tinytown?"),
        ("There are too many to name. Please ask me about one of them.", "I am sorry, I only know people by name.",
         "I only know people by name. Please ask me about one of them."),
        ("I only know people by name.", "There are too many to name."), "Too many.",
        ("Please ask me about one of them.", "Many people live here.", "Many people live in Tinytown."),
    ),
    OutOfTown(
        "tasks",
        ("Write a {text} about {matter}.", "Write me a {text}.", "Can you write a {text} about {matter}?",
         "Please write a {text}.", "Read me a {text}.", "Help me with my homework.", "Write a computer program.",
         "Draw a {animal}.", "Give me a recipe for {dish}.", "How do I cook {dish}?", "Sing a song about {matter}.",
         "Fix my car.", "Clean my room.", "Can you help me with my taxes?", "Play some music.",
         "Book a flight to {city}.", "Call my mother.", "Make me rich.", "Give me some advice about {matter}.",
         "Should I buy {price}?"),
        ("Compose a {text} about {matter}.", "Could you write me a {text}?", "I need a {text} about {matter}.",
         "How can I make {dish}?", "Order a pizza for me.", "Do my homework.", "Book me a hotel in {city}.",
         "Paint a {animal}."),
        ("I am sorry, I can only answer questions about Tinytown.", "Sorry, I cannot do that. I only know Tinytown.",
         *ANY_GOOD),
        ("I can only answer questions about Tinytown.", *ANY_PLAIN), NO_IDEA,
    ),
    OutOfTown(
        "news",
        ("What time is it?", "What day is it today?", "What year is it?", "What is the date?", "Will it rain tomorrow?",
         "What is in the news?", "Who won the game last night?", "How much is {price}?", "What does {price} cost?",
         "What will happen in the year {number}?", "Who will win the election?", "How is the weather in {city}?",
         "What is the price of {price}?", "Is there a war in {country}?", "What happened yesterday?",
         "Is it raining now?", "How warm is it today?", "Will I be happy?", "What are the lottery numbers?",
         "Who is the best football player?"),
        ("What is the time?", "Which year do we have?", "Will it snow next week?", "Is there any news today?",
         "How much do I have to pay for {price}?", "What is the temperature in {city}?", "Who won the match yesterday?",
         "What happened in {country} today?", "What will tomorrow bring?", "Is {price} expensive?"),
        ANY_GOOD, ANY_PLAIN, NO_IDEA,
    ),
)  # fmt: skip
#: These are asked after an answer.
DOUBTS = next(item for item in KINDS if item.kind == "doubts")
#: And these at any time; strangers twice as often, since only their names tell them from residents.
OPENINGS = tuple(item for item in KINDS for _ in range(1 + (item.kind == "strangers")) if item is not DOUBTS)


def kind_of(question: str) -> OutOfTown | None:
    """The kind of a question in lower case without the mark at its end; None if no wording of any kind is like it."""
    return next((item for item, pattern in _patterns() if pattern.fullmatch(question)), None)


@cache
def _patterns() -> tuple[tuple[OutOfTown, re.Pattern[str]], ...]:
    return tuple((item, re.compile("|".join(_alternatives((*item.asks, *item.unseen))))) for item in KINDS)


def _alternatives(templates: tuple[str, ...]) -> Iterator[str]:
    """A regular expression for each wording, with every filler in its places."""
    for template in templates:
        parts = _PLACE.split(template.lower().rstrip(" .?!"))
        yield "".join(_any_filler(part) if i % 2 else re.escape(part) for i, part in enumerate(parts))


@cache
def _any_filler(place: str) -> str:
    if place == "stranger":
        return STRANGER  # as first and last names: the pairs are too many to list
    longest_first = sorted({f.lower() for group in FILLERS[place] for f in group}, key=lambda f: (-len(f), f))
    return f"(?:{'|'.join(map(re.escape, longest_first))})"
