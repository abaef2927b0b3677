"""Ways to say things that the corpora never use, but a good answer may: the grader accepts them all the same.

What the corpora say themselves stands with each topic (`topics.Topic`) and in `speech`. Sentences are written without
the mark at their end, unless they are questions. A comma may be left out.
"""

from __future__ import annotations

from .topics import Topic

#: By topic: whole sentences. `Topic` says what the places to fill are.
ALSO: dict[str, tuple[str, ...]] = {
    "street": ("{whose} house is on {value}", "The house of {whom} is on {value}", "{whose} street is {value}",
               "{name} lives in {value}", "You will find {name} on {value}", "{whose} address is on {value}"),
    "job": ("The job is that of {a_value}", "{whose} job is {a_value}", "{whose} job is {value}",
            "{whose} work is that of {a_value}", "{name} makes a living as {a_value}"),
    "workplace": ("The workplace is the {value}", "{name} works in the {value}", "{name} goes to work at the {value}",
                  "{name} goes to the {value} for work", "{whose} place of work is the {value}"),
    "pet": ("The pet is {a_value}", "{name} has a pet {value}", "{name} keeps a pet {value}",
            "{whose} animal is {a_value}", "{name} has {a_value} as a pet"),
    "pet_name": ("{whose} pet has the name {value}", "{whose} pet's name is {value}", "{whose} pet is {value}",
                 "The name of the pet is {value}", "The pet is called {value}", "It is called {value}"),
    "food": ("The favourite food is {value}", "{name} likes to eat {value}", "{name} likes {value} best",
             "{name} loves {value}", "{name} likes {value}", "The food {name} likes best is {value}",
             "{whose} favourite is {value}"),
    "hobby": ("The hobby is {value}", "{name} likes {value}", "{name} does {value} as a hobby",
              "{name} has {value} as a hobby"),
    "birthday": ("The birthday is in {value}", "{whose} birthday is {value}",
                 "The month of {whose} birthday is {value}"),
    "colour": ("The favourite colour is {value}", "{name} loves {value}", "{name} likes {value} best",
               "The colour {name} likes best is {value}", "{whose} favourite is {value}",
               "The favourite of {whom} is {value}"),
    "friend": ("The best friend is {value}", "{name} and {value} are best friends",
               "{value} and {name} are best friends", "The name of {whose} best friend is {value}",
               "{whose} best friend is called {value}", "{value} is {whose} best friend",
               "{value} is best friends with {whom}"),
    "sibling": ("The sibling is {value}", "{value} and {name} are siblings", "The name of {whose} sibling is {value}",
                "{whose} sibling is called {value}", "{value} is {whose} sibling"),
    "age": ("The age is {value}", "{name} is {value}", "{name} is {value} years of age"),
    "instrument": ("The instrument is the {value}", "{name} can play the {value}",
                   "{name} plays the {value} in the town band"),
    "place_street": ("{name} can be found on {value}", "You can find {name} on {value}", "{name} is in {value}"),
    "opens": ("{name} is open from {value}", "{name} is open from {value} on",
              "{name} is open every day from {value}"),
    "offer": ("People find {value} at {name}", "At {name} you can find {value}", "{name} offers {value}",
              "At {name} people find {value}"),
    "month": ("{name} is held in {value}",),
    "venue": ("{name} is at the {value}", "The {value} holds {name}"),
    "weather": ("You should expect {value} in {name}", "In {name} there is {value}",
                "In {name} the weather is {value}", "In {name} you should expect {value}"),
    "treat": ("The treat in {name} is {value}", "In {name} the cafe serves {value}",
              "The cafe serves {value} in {name}", "People enjoy {value} in {name}"),
    "mayor": ("The mayor is {value}", "{value} is the mayor", "The name of the mayor is {value}",
              "{value} leads Tinytown"),
    "market_day": ("The market is held on {value}", "The market is on {value}", "Market day is on {value}"),
    "tram": ("The tram is painted {value}", "The tram has the colour {value}",
             "The colour of the town tram is {value}"),
    "river": ("The river is the {value}", "The name of the river is {value}", "The {value} is the river of Tinytown"),
    "flower": ("The {value} is the town flower", "The town flower is {a_value}", "The {value} is on the town flag"),
    "bird": ("The {value} is the town bird", "The {value} is the bird of Tinytown"),
}  # fmt: skip

#: By topic: an answer that leaves out all but the value, which every topic may also say by itself.
BARE: dict[str, tuple[str, ...]] = {
    "street": ("on {value}", "in {value}"),
    "job": ("{a_value}", "as {a_value}"),
    "workplace": ("the {value}", "at the {value}"),
    "pet": ("{a_value}",),
    "birthday": ("in {value}",),
    "age": ("{value} years old", "{value} years"),
    "instrument": ("the {value}",),
    "place_street": ("on {value}", "in {value}"),
    "opens": ("at {value}",),
    "month": ("in {value}",),
    "venue": ("the {value}", "at the {value}"),
    "market_day": ("on {value}", "every {value}"),
    "river": ("the {value}",),
    "flower": ("the {value}", "{a_value}"),
    "bird": ("the {value}", "{a_value}"),
}  # fmt: skip
#: What may stand before a bare answer.
BEFORE_BARE = ("{}", "It is {}", "It's {}", "That is {}", "The answer is {}")

#: What may stand before a sentence that answers, with a comma or without one.
LEADS = (
    "As I said", "Of course", "Gladly", "With pleasure", "Certainly", "Sure", "Yes", "Well", "In Tinytown",
    "I am sorry, but", "I am sorry", "Sorry, but", "Sorry",
)  # fmt: skip

#: Politeness that goes with any answer and says nothing about the town.
BESIDE = (
    "How can I help you?", "Please ask me anything", "Hello", "Hello!", "Yes", "Sure", "Certainly", "You are welcome",
    "Welcome to Tinytown", "Thank you", "Thank you for asking", "I am glad to help", "I am happy to help",
    "My pleasure", "Enjoy your visit", "I hope you enjoy your visit", "I hope that helps you", "Have a nice day",
    "You are always welcome here", "Can I help you with anything else?", "Is there anything else?",
)  # fmt: skip

#: To say that nobody can answer. `{}` stands for a clause ("where she lives"), "that", or nothing.
NOT_KNOWING = (
    "I do not know {}", "I don't know {}", "I cannot know {}", "Nobody knows {}", "Nobody can know {}",
    "I have no idea {}", "No idea {}",
)  # fmt: skip


def statements(topic: Topic) -> tuple[str, ...]:
    """All templates of whole sentences that state a fact of this kind."""
    return (*topic.answers, *topic.statements, *ALSO[topic.name])


def bare_answers(topic: Topic) -> tuple[str, ...]:
    """All templates of answers without a subject."""
    kinds = ("{value}", *BARE.get(topic.name, ()))
    return tuple(before.format(kind) for before in BEFORE_BARE for kind in kinds)


def admissions(clauses: tuple[str, ...]) -> tuple[str, ...]:
    """All templates of sentences that admit not to know one of these things."""
    return tuple(admission.format(clause).strip() for admission in NOT_KNOWING for clause in clauses)
