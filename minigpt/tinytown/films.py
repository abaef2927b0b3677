"""Dialogues in the layout of the Cornell Movie-Dialogs Corpus: lines, conversations, titles, characters."""

from __future__ import annotations

from .dialogs import Dialogue

SEPARATOR = " +++$+++ "
#: Conversations per film. Loaders split by film, so that a film is what validation holds out.
CONVERSATIONS_PER_FILM = 30


def film_files(dialogues: list[Dialogue]) -> dict[str, str]:
    """The four files by name. The text is ASCII, which is valid in the corpus's Windows-1252 too."""
    lines, conversations, titles, characters = [], [], [], []
    number = 0
    for start in range(0, len(dialogues), CONVERSATIONS_PER_FILM):
        index = start // CONVERSATIONS_PER_FILM
        film, title = f"m{index}", f"an afternoon in tinytown, part {index + 1}"
        visitor, guide = f"u{2 * index}", f"u{2 * index + 1}"
        titles.append(row(film, title, "1931", "7.50", str(100 + index), "['comedy', 'family']"))
        characters.append(row(visitor, "VISITOR", film, title, "?", "1"))
        characters.append(row(guide, "GUIDE", film, title, "?", "2"))
        for dialogue in dialogues[start : start + CONVERSATIONS_PER_FILM]:
            scene = []
            for turn in dialogue.turns:
                speaker, name = (visitor, "VISITOR") if turn.role == "user" else (guide, "GUIDE")
                scene.append((f"L{number}", row(f"L{number}", speaker, film, name, turn.text)))
                number += 1
            number += 1  # as in the original, ids jump between scenes
            # Inside a scene the original lists the lines from last to first.
            lines += [line for _, line in reversed(scene)]
            conversations.append(row(visitor, guide, film, str([line_id for line_id, _ in scene])))
    return {
        "movie_lines.txt": "".join(lines),
        "movie_conversations.txt": "".join(conversations),
        "movie_titles_metadata.txt": "".join(titles),
        "movie_characters_metadata.txt": "".join(characters),
    }


def row(*fields: str) -> str:
    """One line of any of the four files."""
    return SEPARATOR.join(fields) + "\n"
