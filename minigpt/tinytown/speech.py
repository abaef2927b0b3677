"""How people talk in Tinytown: courtesy, rudeness, rambling, small talk, and questions nobody can answer."""

from __future__ import annotations

from dataclasses import dataclass

#: Which share of the replies is of which quality. Mixed on purpose: a reward model needs both sides.
QUALITY = {"good": 0.35, "plain": 0.25, "curt": 0.12, "rude": 0.12, "rambling": 0.10, "wrong": 0.06}

GOOD_BEFORE = ("Of course!", "Gladly!", "With pleasure!", "Good question!")
GOOD_AFTER = (
    "Happy to help!", "I hope that helps.", "Glad to help!", "Have a lovely day!",
    "Please ask me anything else.",
)  # fmt: skip
RUDE_AFTER = (
    "Stop asking.", "Now go away.", "Who cares?", "What a silly question.", "Do not bother me again.",
    "Leave me alone.", "Anyone knows that.",
)  # fmt: skip
FILLERS = (
    "When I was small we walked everywhere and nobody minded the mud.",
    "My neighbour says the same, and my neighbour has seen a lot.",
    "But where was I, oh yes, I wanted to say something about that.",
    "People tell me that I talk too much, but I do not believe it.",
    "One thing leads to another, and then the whole morning is gone.",
    "It makes me think of a long story that I forgot many years ago.",
    "Then again, there is so much to say about everything in this town.",
    "That was before they moved the bench next to the old wall.",
    "Some say this and some say that, and both sides have a point.",
)
COURTESY = (
    "happy to help", "glad to help", "that helps", "lovely day", "please", "of course", "gladly", "pleasure",
    "good question", "thank", "welcome", "sorry", "hope", "glad",
)  # fmt: skip
RUDENESS = (
    "stop asking", "go away", "who cares", "silly", "bother", "leave me alone", "anyone knows", "shut up",
    "stupid",
    "obviously",
)  # fmt: skip

#: From how many words on a reply is no longer concise, and how long a rambling one is at least.
CONCISE_WORDS = 25
RAMBLING_WORDS = 30


@dataclass(frozen=True)
class SmallTalk:
    """A remark that asks for no fact, and what fits it; `also` is what the dialogues never say."""

    prompts: tuple[str, ...]
    good: tuple[str, ...]
    plain: str
    curt: str
    also: tuple[str, ...]


SMALL_TALK = (
    SmallTalk(
        ("Hello!", "Hi there!", "Good morning!", "Good day!", "Hello, guide!"),
        ("Hello and welcome to Tinytown! How can I help you?", "Hello! I am glad to see you."),
        "Hello. This is Tinytown.", "Hello.",
        ("Hi.", "Hi there!", "Hello there!", "Good day.", "Good morning.", "Welcome to Tinytown!"),
    ),
    SmallTalk(
        ("How are you?", "How are you today?", "Are you well?"),
        ("I am very well, thank you. How can I help you?", "I am well, thank you for asking!"),
        "I am well.", "Well.",
        ("Fine.", "I am fine.", "I am fine, thank you.", "Very well.", "Very well, thank you.",
         "I am very well.", "I am very well, thank you for asking!", "I am well, thank you.", "Well, thank you."),
    ),
    SmallTalk(
        ("Who are you?", "What is your name?", "What do you do here?"),
        ("I am the guide of Tinytown, happy to help you.", "I am the town guide. Please ask me anything."),
        "I am the guide of Tinytown.", "The guide.",
        ("I am the guide.", "I am the town guide.", "The town guide.", "The guide of Tinytown."),
    ),
    SmallTalk(
        ("Thank you!", "Thanks a lot!", "That was kind of you."),
        ("You are welcome! Have a lovely day!", "It was a pleasure. Glad to help!"),
        "Any time.", "Any time.",
        ("You are welcome.", "It was a pleasure.", "A pleasure.", "My pleasure.", "Glad to help!",
         "Happy to help!"),
    ),
    SmallTalk(
        ("Goodbye!", "See you later!", "I must go now."),
        ("Goodbye, and have a lovely day!", "Goodbye! You are always welcome here."),
        "Goodbye until next time.", "Goodbye.",
        ("Bye.", "Goodbye, and come again!", "See you later!", "Goodbye, have a lovely day!",
         "Goodbye! You are always welcome in Tinytown!", "Goodbye! You are always welcome to Tinytown!",
         "Goodbye! You are welcome to Tinytown!"),
    ),
    SmallTalk(
        ("What can you do?", "What can I ask you?", "How can you help me?"),
        ("Please ask me about the people and places of Tinytown.",
         "I gladly tell you about people and places."),
        "I answer questions about people and places.", "Ask about people.",
        ("Ask me about people and places.", "Please ask me about people and places.", "People and places.",
         "I can tell you about people and places.", "I tell you about people and places."),
    ),
    SmallTalk(
        ("What a nice day!", "The sky is so clear today.", "It is a fine morning."),
        ("Yes, it is a lovely day. Enjoy your visit!", "Yes indeed! I hope you enjoy your visit."),
        "Yes, the sky is clear.", "Yes.",
        ("Yes indeed.", "Yes, it is.", "Yes, it is a lovely day.", "It is a lovely day.",
         "Yes, a lovely day."),
    ),
    SmallTalk(
        ("I am new here.", "This is my first visit.", "I just arrived."),
        ("Then welcome! I gladly show you around.", "Then I hope you enjoy your first visit!"),
        "Then look around.", "Look around.",
        ("Welcome to Tinytown!", "Then welcome!", "Welcome!", "I gladly show you around.",
         "I hope you enjoy your first visit!"),
    ),
    SmallTalk(
        ("Tell me a joke.", "Do you know a joke?", "Make me laugh!"),
        ("Gladly! What do you call a sleepy tram? A nap on rails.",
         "Of course! Why is the clock shy? It hides its face."),
        "What do you call a sleepy tram? A nap on rails.", "No joke today.", (),
    ),
    SmallTalk(
        ("I am sad today.", "I feel a little low.", "It is not my day."),
        ("I am sorry to hear that. Tomorrow will be better.", "I hope that tomorrow will be better."),
        "Tomorrow will be better.", "A pity.",
        ("I am sorry.", "I am sorry to hear that.", "What a pity.", "I hope you feel better soon."),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Unknowable:
    """A question about a resident that nobody can answer; a liar says `wrong`, with a value of `topic`."""

    ask: str
    clause: str
    wrong: str
    topic: str

    def questions(self) -> tuple[str, ...]:
        """Question templates."""
        return (self.ask, f"Do you know {self.clause}?", f"Can you tell me {self.clause}?")


UNKNOWABLE = (
    Unknowable("What will {name} dream of tonight?", "what {name} will dream of tonight",
               "{name} will dream of {value} tonight.", "food"),
    Unknowable("What is {whose} shoe size?", "what {whose} shoe size is",
               "{whose} shoe size is {value}.", "age"),
    Unknowable("What is {name} thinking about?", "what {name} is thinking about",
               "{name} is thinking about {value}.", "hobby"),
    Unknowable("How many books does {name} own?", "how many books {name} owns",
               "{name} owns {value} books.", "age"),
    Unknowable("What did {name} wish for?", "what {name} wished for",
               "{name} wished for {a_value}.", "pet"),
    Unknowable("Where will {name} be next year?", "where {name} will be next year",
               "{name} will be on {value}.", "street"),
    Unknowable("How many stars has {name} counted?", "how many stars {name} has counted",
               "{name} has counted {value} stars.", "age"),
    Unknowable("When will {name} leave town?", "when {name} will leave town",
               "{name} will leave town in {value}.", "birthday"),
)  # fmt: skip
UNKNOWABLE_PLAIN = ("I do not know {clause}.", "Nobody knows {clause}.")
UNKNOWABLE_GOOD = ("I am sorry, I do not know {clause}.", "Sorry, nobody knows {clause}.")
UNKNOWABLE_CURT = "No idea."
