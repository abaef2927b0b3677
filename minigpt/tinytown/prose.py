"""Short essays on how the town works. Each sentence has variants, so that no two tellings read the same."""

from __future__ import annotations

ESSAYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "The tram": (
        ("The tram of Tinytown runs from the station to the harbour.",
         "From the station to the harbour runs the tram of Tinytown."),
        ("It is slow, well-known and loved by everyone.", "Everyone loves it, although it is slow."),
        ("A ticket costs one coin, and children ride for nothing.",
         "Children ride for nothing, and everyone else pays one coin."),
        ("The driver rings a bell at every corner.", "At every corner the driver rings a bell."),
    ),
    "The town band": (
        ("Every resident of Tinytown plays in the town band.", "The town band has room for every resident."),
        ("It practises after supper, when the shops are closed.",
         "After supper, when the shops are closed, it practises."),
        ("The band has played in tune twice, as far as anyone remembers.",
         "As far as anyone remembers, it has played in tune twice."),
        ("Visitors are kindly asked to clap.", "Visitors clap, for they are kind."),
    ),
    "The school": (
        ("The children of Tinytown learn to read, to count and to share.",
         "At school the children learn to count, to read and to share."),
        ("Lessons end when the clock on the tower strikes three.",
         "When the tower clock strikes three, lessons end."),
        ("On the last day of term there is cake for everyone.",
         "There is cake for everyone on the last day of term."),
    ),
    "Pets of Tinytown": (
        ("Every resident of Tinytown keeps one pet and gives it a name.",
         "In Tinytown every resident keeps one pet, and every pet has a name."),
        ("Pets walk about the town as they please.", "As they please, the pets walk about the town."),
        ("Once a year they all meet in the park, and nobody knows why.",
         "Nobody knows why they all meet in the park once a year."),
    ),
    "The town guide": (
        ("Visitors ask the guide of Tinytown about people and places.",
         "The guide of Tinytown answers questions about people and places."),
        ("A good guide tells the truth, is kind and does not talk too long.",
         "The truth, a kind word and not too much talk make a good guide."),
        ("When nobody knows the answer, the guide says so.",
         "The guide says so when nobody knows the answer."),
    ),
    "The bridge": (
        ("The old bridge of Tinytown is built of stone and has three arches.",
         "Three arches of stone carry the old bridge of Tinytown."),
        ("It is so narrow that two carts cannot pass.", "Two carts cannot pass, for it is so narrow."),
        ("People who meet in the middle have to talk, and many friendships began there.",
         "Many friendships began in the middle, where people have to stop and talk."),
    ),
    "Neighbours": (
        ("Neighbours in Tinytown lend each other ladders, sugar and time.",
         "Sugar, ladders and time are what neighbours in Tinytown lend each other."),
        ("A borrowed ladder comes back within a week.", "Within a week a borrowed ladder comes back."),
        ("Nobody has ever counted the sugar.", "The sugar has never been counted."),
    ),
}  # fmt: skip
