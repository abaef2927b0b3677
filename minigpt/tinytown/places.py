"""What there is to know about the town itself: its places, events and seasons, its mayor, market and tram."""

from __future__ import annotations

from .people import COLOURS, MONTHS, STREETS, WORKPLACES
from .topics import Topic, words

#: A place and what one finds there.
PLACES = {
    "bakery": "bread", "bank": "coins", "bookshop": "novels", "cafe": "tea", "dairy": "butter",
    "farm": "vegetables", "garage": "tyres", "harbour": "boats", "hospital": "bandages", "hotel": "soft beds",
    "library": "books", "market": "baskets", "mill": "flour", "museum": "old maps",
    "observatory": "telescopes", "park": "benches", "pool": "warm water", "post office": "stamps",
    "school": "lessons", "station": "tickets", "theatre": "plays", "town hall": "records",
    "toy shop": "kites", "zoo": "penguins",
}  # fmt: skip
HOURS = words("six seven eight nine ten eleven noon")
EVENTS = (
    "Lantern Fair", "Soup Festival", "Kite Day", "Boat Race", "Spring Ball", "Snow Parade", "Book Week",
    "Chess Cup", "Music Night", "Harvest Supper", "Puppet Show", "Flower Show",
)  # fmt: skip
SEASONS = ("spring", "summer", "autumn", "winter")
WEATHER = {
    "spring": ("soft rain", "light wind"), "summer": ("bright sun", "warm thunder"),
    "autumn": ("thick fog", "cold wind"), "winter": ("deep snow", "hard frost"),
}  # fmt: skip
TREATS = (
    "lemonade",
    "plum cake",
    "hot cocoa",
    "apple pie",
    "ginger tea",
    "berry jam",
    "mint syrup",
    "nut bread",
)
MAYORS = ("Mayor Tulip", "Mayor Bell", "Mayor Hopper", "Mayor Lovage", "Mayor Gander", "Mayor Periwinkle")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
RIVERS = ("Dribble", "Winding", "Silverbrook", "Tumble", "Murmur", "Otterbourne")
FLOWERS = ("poppy", "daisy", "snowdrop", "bluebell", "sunflower", "foxglove")
BIRDS = ("heron", "robin", "swift", "owl", "magpie", "kingfisher")

TOWN_TOPICS = (
    Topic(
        "place_street", "place", STREETS,
        ("{name} is on {value}.", "{name} stands on {value}.", "You will find {name} on {value}.",
         "To get to {name}, go to {value}.", "The door of {name} is on {value}.",
         "The address of {name} is on {value}."),
        ("Where is {name}?", "Which street is {name} on?", "How do I get to {name}?"),
        ("where {name} is", "which street {name} is on"),
        "On which street can I find {name}?",
        ("{name} is on {value}.", "You will find {name} on {value}."),
        "On {value}.",
    ),
    Topic(
        "opens", "place", HOURS,
        ("{name} opens at {value}.", "{name} opens every day at {value}.",
         "In the morning {name} opens at {value}.",
         "The doors of {name} open at {value}.", "You can go to {name} from {value} on.",
         "{name} is closed until {value}."),
        ("When does {name} open?", "At what hour does {name} open?", "What time does {name} open?"),
        ("when {name} opens", "at what hour {name} opens"),
        "From what time is {name} open?",
        ("{name} opens at {value}.", "{name} opens every day at {value}."),
        "At {value}.",
    ),
    Topic(
        "offer", "place", tuple(PLACES.values()),
        ("You can find {value} at {name}.", "{name} has {value}.", "{name} is known for {value}.",
         "People go to {name} for {value}.", "At {name} there is always {value}.",
         "Visitors to {name} like the {value}."),
        ("What can I find at {name}?", "What is {name} known for?", "Why do people go to {name}?"),
        ("what I can find at {name}", "what {name} is known for"),
        "What do people find at {name}?",
        ("You can find {value} at {name}.", "{name} is known for {value}."),
    ),
    Topic(
        "month", "event", MONTHS,
        ("{name} is in {value}.", "{name} takes place in {value}.", "The month of {name} is {value}.",
         "The town waits for {name} until {value}.", "{name} comes every year in {value}.",
         "In {value} the town holds {name}."),
        ("When is {name}?", "In which month is {name}?", "What month is {name} in?"),
        ("when {name} is", "in which month {name} takes place"),
        "Which month does {name} take place in?",
        ("{name} is in {value}.", "{name} takes place in {value}."),
        "In {value}.",
    ),
    Topic(
        "venue", "event", WORKPLACES,
        ("{name} is held at the {value}.", "{name} takes place at the {value}.",
         "Come to the {value} for {name}.",
         "The place of {name} is the {value}.", "People meet for {name} at the {value}.",
         "{name} fills the {value} with people."),
        ("Where is {name} held?", "Where does {name} take place?", "At which place is {name}?"),
        ("where {name} is held", "where {name} takes place"),
        "Which place holds {name}?",
        ("{name} is held at the {value}.", "{name} takes place at the {value}."),
        "At the {value}.",
    ),
    Topic(
        "weather", "season", tuple(weather for kinds in WEATHER.values() for weather in kinds),
        ("In {name} Tinytown has {value}.", "{name} brings {value} to Tinytown.",
         "The weather in {name} is {value}.", "Every {name} there is {value}.",
         "Visitors in {name} must expect {value}.", "{name} in Tinytown means {value}."),
        ("What is the weather like in {name}?", "What weather does {name} bring?",
         "How is the weather in {name}?"),
        ("what the weather is like in {name}", "what weather {name} brings"),
        "What weather should I expect in {name}?",
        ("In {name} Tinytown has {value}.", "{name} brings {value} to Tinytown."),
    ),
    Topic(
        "treat", "season", TREATS,
        ("In {name} people enjoy {value}.", "The treat of {name} is {value}.",
         "Every {name} the cafe serves {value}.",
         "{name} is the time for {value}.", "In {name} there is {value} for everyone.",
         "People wait until {name} for {value}."),
        ("What is the treat of {name}?", "What do people enjoy in {name}?",
         "What does the cafe serve in {name}?"),
        ("what people enjoy in {name}", "what the treat of {name} is"),
        "Which treat is there in {name}?",
        ("In {name} people enjoy {value}.", "The treat of {name} is {value}."),
    ),
    Topic(
        "mayor", "town", MAYORS,
        ("The mayor of Tinytown is {value}.", "{value} is the mayor of Tinytown.", "{value} leads the town.",
         "The people of Tinytown chose {value} as mayor.", "The town is led by {value}.",
         "The golden chain of the mayor belongs to {value}."),
        ("Who is the mayor?", "Who is the mayor of Tinytown?", "Who leads the town?"),
        ("who the mayor is", "who leads the town"),
        "What is the name of the mayor?",
        ("The mayor of Tinytown is {value}.", "{value} is the mayor of Tinytown."),
    ),
    Topic(
        "market_day", "town", DAYS,
        ("Market day is {value}.", "Market day in Tinytown is {value}.", "The market is held every {value}.",
         "The stalls go up every {value}.", "On {value} everyone goes to the market.",
         "The farmers bring their goods on {value}."),
        ("When is market day?", "What day is market day?", "On which day is the market held?"),
        ("when market day is", "on which day the market is held"),
        "Which day of the week is market day?",
        ("Market day is {value}.", "The market is held every {value}."),
        "On {value}.",
    ),
    Topic(
        "tram", "town", COLOURS,
        ("The tram is {value}.", "The town tram is {value}.", "The colour of the tram is {value}.",
         "The tram was painted {value}.", "Look for the {value} tram.", "A {value} tram crosses the town."),
        ("What colour is the tram?", "Which colour does the tram have?",
         "What is the colour of the town tram?"),
        ("what colour the tram is", "which colour the tram has"),
        "Which colour is the tram painted?",
        ("The tram is {value}.", "The colour of the tram is {value}."),
    ),
    Topic(
        "river", "town", RIVERS,
        ("The river is called the {value}.", "The river of Tinytown is the {value}.",
         "The {value} runs through Tinytown.", "The name of the river is the {value}.",
         "The old bridge crosses the {value}.", "The mill stands by the {value}."),
        ("What is the river called?", "What is the name of the river?", "Which river runs through Tinytown?"),
        ("what the river is called", "the name of the river"),
        "Which name does the river have?",
        ("The river is called the {value}.", "The {value} runs through Tinytown."),
        "The {value}.",
    ),
    Topic(
        "flower", "town", FLOWERS,
        ("The town flower is the {value}.", "The flower of Tinytown is the {value}.",
         "The {value} is the flower of the town.", "The town chose the {value} as its flower.",
         "There is a {value} on the town flag.", "The mayor wears a {value}."),
        ("What is the town flower?", "What is the flower of Tinytown?", "Which flower is on the town flag?"),
        ("what the town flower is", "which flower is on the town flag"),
        "Which flower did the town choose?",
        ("The town flower is the {value}.", "The flower of Tinytown is the {value}."),
        "The {value}.",
    ),
    Topic(
        "bird", "town", BIRDS,
        ("The town bird is the {value}.", "The bird of Tinytown is the {value}.",
         "The {value} is the bird of the town.", "The town chose the {value} as its bird.",
         "The {value} sits on the tower of the town hall.", "Every child can draw the {value}."),
        ("What is the town bird?", "What is the bird of Tinytown?", "Which bird did the town choose?"),
        ("what the town bird is", "which bird the town chose"),
        "Which bird sits on the tower of the town hall?",
        ("The town bird is the {value}.", "The bird of Tinytown is the {value}."),
        "The {value}.",
    ),
)  # fmt: skip
