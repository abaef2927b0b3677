"""What there is to know about a resident: thirteen topics. Names come first in most sentences, because
a model that learned "name, then value" can later answer questions that start from the name."""

from __future__ import annotations

from .topics import Topic, words

FIRST_NAMES = {
    "she": words(
        "Ada Bea Cleo Dora Edith Flora Greta Hilda Ida Juno Kitty Lena Mabel Nora Odile Paula Rosa Stella "
        "Tilda Una Vera Willa Zoe Anya Bess Celia Della Elsie Freya Gwen"
    ),
    "he": words(
        "Abel Boris Carl Dan Emil Felix Gus Hugo Ivan Jack Kurt Leo Max Ned Oscar Paul Rex Sam Theo Umberto "
        "Victor Walt Axel Bruno Conrad Ernie Fritz Hal Otto Tom"
    ),
}
LAST_NAMES = words(
    "Abbott Archer Ashby Barlow Becket Bolton Bramley Carver Chase Clegg Colby Crane Croft Dalton Denby "
    "Drake Dunn Ellis Fairley Farrow Finch Flint Garner Gibbs Goodwin Hale Harper Hobbs Holt Hurst Ingram "
    "Jarvis Keating Kemp Larkin Lowell Marlow Mercer Merrick Nash Norton Oakley Parry Penrose Pike Quill "
    "Ramsey Rudd Selby Sharp Tate Thorne Tuck Vance Wells Whitby Wilding Wren Yates Yorke"
)

STREETS = (
    "Elm Street", "Mill Lane", "Harbour Road", "Church Street", "Castle Road", "Bridge Street", "Rose Lane",
    "Hill Street", "Lake Road", "Garden Street", "Maple Street", "Willow Lane", "King Street", "Queen Street",
    "Market Street", "River Road", "Station Road", "Meadow Lane", "Cherry Lane", "Forest Road",
    "Tower Street",
    "Orchard Lane", "Lantern Street", "Pepper Lane",
)  # fmt: skip
#: A job and the places where somebody may do it.
JOBS = {
    "baker": ("bakery", "cafe"), "teacher": ("school", "museum"), "nurse": ("hospital", "school"),
    "doctor": ("hospital", "zoo"), "librarian": ("library", "school"), "farmer": ("farm", "market"),
    "gardener": ("park", "farm"), "clerk": ("bank", "town hall"), "cook": ("cafe", "hotel"),
    "waiter": ("hotel", "cafe"), "porter": ("hotel", "station"), "driver": ("station", "dairy"),
    "mechanic": ("garage", "harbour"), "sailor": ("harbour", "station"), "actor": ("theatre", "library"),
    "painter": ("museum", "theatre"), "courier": ("post office", "dairy"), "tailor": ("theatre", "market"),
    "judge": ("town hall", "bank"), "florist": ("park", "market"), "miller": ("mill", "bakery"),
    "vet": ("zoo", "farm"), "lifeguard": ("pool", "harbour"), "bookseller": ("bookshop", "library"),
    "engineer": ("mill", "observatory"), "toymaker": ("toy shop", "post office"),
    "inspector": ("garage", "pool"), "scientist": ("observatory", "museum"),
}  # fmt: skip
WORKPLACES = tuple(sorted({place for places in JOBS.values() for place in places}))
PETS = words("cat dog rabbit parrot tortoise hamster goat duck hen pony goldfish canary hedgehog ferret gecko donkey")
PET_NAMES = words(
    "Button Pebble Whiskers Patch Ziggy Rolo Mittens Captain Dusty Rufus Bubbles Socks Tango Pippin Comet "
    "Muffin Buster Fidget Domino Sparky Tinker Banjo Scout Jasper Marble Nimbus Pogo Quincy Smudge Toffee "
    "Velvet Wiggles"
)
FOODS = words(
    "soup pancakes dumplings pizza curry noodles porridge salad waffles cheese cherries plums carrots beans "
    "omelettes toast pears honey mushrooms potatoes strawberries chocolate pasta rice"
)
HOBBIES = words(
    "chess knitting fishing gardening painting cycling swimming dancing reading juggling pottery hiking "
    "sailing baking skating origami archery climbing camping sewing rowing singing photography astronomy"
)
MONTHS = words("January February March April May June July August September October November December")
COLOURS = words("red blue green yellow purple orange pink brown black white grey silver gold turquoise crimson violet")
INSTRUMENTS = words(
    "piano violin flute drums trumpet guitar harp cello mandolin accordion clarinet tuba ukulele harmonica "
    "saxophone oboe"
)
AGES = tuple(str(age) for age in range(20, 60))

RESIDENT_TOPICS = (
    Topic(
        "street", "resident", STREETS,
        ("{name} lives on {value}.", "{whose} home is on {value}.", "{name} has a house on {value}.",
         "The home of {whom} is on {value}.", "To visit {whom}, go to {value}.",
         "{name} has lived on {value} for years.", "{value} is where {name} lives."),
        ("Where does {name} live?", "What street does {name} live on?", "On which street is {whose} home?"),
        ("where {name} lives", "which street {name} lives on"),
        "Which street is {whose} house on?",
        ("{name} lives on {value}.", "{whose} home is on {value}."),
    ),
    Topic(
        "job", "resident", tuple(JOBS),
        ("{name} works as {a_value}.", "{name} is {a_value}.", "{name} is {a_value} by trade.",
         "{name} earns a living as {a_value}.", "For a living, {name} works as {a_value}.",
         "{whose} job is that of {a_value}.", "{a_value} is what {name} became."),
        ("What is {whose} job?", "What does {name} do for a living?", "What work does {name} do?"),
        ("what {whose} job is", "what {name} does for a living"),
        "What does {name} work as?",
        ("{name} works as {a_value}.", "{name} is {a_value}."),
        "{a_value}.",
    ),
    Topic(
        "workplace", "resident", WORKPLACES,
        ("{name} works at the {value}.", "{whose} workplace is the {value}.",
         "The workplace of {whom} is the {value}.", "Every morning {name} goes to work at the {value}.",
         "{name} has a job at the {value}.", "{name} has worked at the {value} for years.",
         "The {value} is where {name} works."),
        ("Where does {name} work?", "What is {whose} workplace?", "At which place does {name} work?"),
        ("where {name} works", "which place {name} works at"),
        "Which place does {name} go to for work?",
        ("{name} works at the {value}.", "{whose} workplace is the {value}."),
        "The {value}.",
    ),
    Topic(
        "pet", "resident", PETS,
        ("{name} has {a_value}.", "{name} keeps {a_value}.", "{whose} pet is {a_value}.",
         "The pet of {whom} is {a_value}.", "At home {name} looks after {a_value}.",
         "{name} shares a home with {a_value}.", "{a_value} lives with {whom}."),
        ("What pet does {name} have?", "What kind of animal is {whose} pet?",
         "Which animal does {name} keep?"),
        ("what pet {name} has", "which animal {name} keeps"),
        "What kind of pet does {name} keep?",
        ("{name} has {a_value}.", "{whose} pet is {a_value}."),
        "{a_value}.",
    ),
    Topic(
        "pet_name", "resident", PET_NAMES,
        ("{whose} pet is called {value}.", "{name} has a pet called {value}.",
         "The pet of {whom} is called {value}.", "The name of {whose} pet is {value}.",
         "{name} calls the pet {value}.", "{name} gave the pet the name {value}.",
         "{value} is the name of {whose} pet."),
        ("What is {whose} pet called?", "What is the name of {whose} pet?", "What does {name} call the pet?"),
        ("what {whose} pet is called", "the name of {whose} pet"),
        "Which name does {whose} pet have?",
        ("{whose} pet is called {value}.", "{name} has a pet called {value}."),
    ),
    Topic(
        "food", "resident", FOODS,
        ("{whose} favourite food is {value}.", "The favourite food of {whom} is {value}.",
         "{name} loves to eat {value}.", "{name} could eat {value} every day.",
         "For supper {name} always wants {value}.", "Of all food, {name} likes {value} best.",
         "{value} is the food {name} likes best."),
        ("What is {whose} favourite food?", "What does {name} like to eat?",
         "What food does {name} like best?"),
        ("what {name} likes to eat", "what {whose} favourite food is"),
        "Which food does {name} love to eat?",
        ("{whose} favourite food is {value}.", "{name} loves to eat {value}."),
    ),
    Topic(
        "hobby", "resident", HOBBIES,
        ("{whose} hobby is {value}.", "The hobby of {whom} is {value}.", "{name} enjoys {value}.",
         "After work {name} enjoys {value}.", "{name} is fond of {value}.",
         "{name} spends the weekend with {value}.", "{value} is the hobby of {whom}."),
        ("What is {whose} hobby?", "What does {name} enjoy after work?", "Which hobby does {name} have?"),
        ("what {whose} hobby is", "which hobby {name} has"),
        "What does {name} do as a hobby?",
        ("{whose} hobby is {value}.", "{name} enjoys {value}."),
    ),
    Topic(
        "birthday", "resident", MONTHS,
        ("{whose} birthday is in {value}.", "{name} was born in {value}.",
         "{name} has a birthday in {value}.",
         "The birthday of {whom} is in {value}.", "{name} gives a birthday party in {value}.",
         "{name} gets birthday presents in {value}.", "{value} is the month of {whose} birthday."),
        ("When is {whose} birthday?", "In which month was {name} born?",
         "What month is {whose} birthday in?"),
        ("when {whose} birthday is", "in which month {name} was born"),
        "Which month is the birthday of {whom} in?",
        ("{whose} birthday is in {value}.", "{name} was born in {value}."),
        "In {value}.",
    ),
    Topic(
        "colour", "resident", COLOURS,
        ("{whose} favourite colour is {value}.", "The favourite colour of {whom} is {value}.",
         "{name} likes the colour {value} best.", "Of all colours, {name} likes {value} best.",
         "{name} loves the colour {value}.", "{name} calls {value} the best colour.",
         "{value} is the colour {name} likes best."),
        ("What is {whose} favourite colour?", "Which colour does {name} like best?",
         "What colour does {name} love?"),
        ("what {whose} favourite colour is", "which colour {name} likes best"),
        "Which colour is the favourite of {whom}?",
        ("{whose} favourite colour is {value}.", "{name} likes the colour {value} best."),
    ),
    Topic(
        "friend", "resident", (),
        ("{whose} best friend is {value}.", "The best friend of {whom} is {value}.",
         "{name} is best friends with {value}.", "{name} has a best friend called {value}.",
         "{name} calls {value} a best friend.", "{name} tells every secret to {value}.",
         "{value} is the best friend of {whom}."),
        ("Who is {whose} best friend?", "Who is the best friend of {whom}?",
         "What is the name of {whose} best friend?"),
        ("who {whose} best friend is", "the name of {whose} best friend"),
        "Who is {name} best friends with?",
        ("{whose} best friend is {value}.", "The best friend of {whom} is {value}."),
    ),
    Topic(
        "sibling", "resident", (),
        ("{whose} sibling is {value}.", "The sibling of {whom} is {value}.",
         "{name} has a sibling called {value}.",
         "{name} and {value} are siblings.", "{name} has one sibling, {value}.",
         "{name} grew up with {value}.", "{value} is the sibling of {whom}."),
        ("Who is {whose} sibling?", "Who is the sibling of {whom}?", "What is the name of {whose} sibling?"),
        ("who {whose} sibling is", "the name of {whose} sibling"),
        "What is {whose} sibling called?",
        ("{whose} sibling is {value}.", "The sibling of {whom} is {value}."),
    ),
    Topic(
        "age", "resident", AGES,
        ("{name} is {value} years old.", "{whose} age is {value}.", "The age of {whom} is {value}.",
         "{name} is now {value} years of age.", "{name} has turned {value}.",
         "{whose} last birthday cake had {value} candles.", "{value} is the age of {whom}."),
        ("How old is {name}?", "What is {whose} age?", "What is the age of {whom}?"),
        ("how old {name} is", "what {whose} age is"),
        "How many years old is {name}?",
        ("{name} is {value} years old.", "{whose} age is {value}."),
    ),
    Topic(
        "instrument", "resident", INSTRUMENTS,
        ("{name} plays the {value}.", "{whose} instrument is the {value}.",
         "The instrument of {whom} is the {value}.", "In the town band {name} plays the {value}.",
         "{name} learned to play the {value}.", "Every evening {name} plays the {value}.",
         "The {value} is the instrument {name} plays."),
        ("What instrument does {name} play?", "What is {whose} instrument?",
         "What does {name} play in the town band?"),
        ("what instrument {name} plays", "which instrument {name} plays in the town band"),
        "Which instrument can {name} play?",
        ("{name} plays the {value}.", "{whose} instrument is the {value}."),
        "The {value}.",
    ),
)  # fmt: skip
