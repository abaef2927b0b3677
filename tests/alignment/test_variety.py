"""Whether answers are all alike: distinct-2 and the commonest ending."""

from __future__ import annotations

import pytest

from minigpt.alignment.stop_rules import commonest_ending, distinct


@pytest.mark.parametrize(
    ("texts", "ending", "share"),
    [
        ([], "", 0.0),
        (["Yes."], "Yes.", 1.0),
        (["Elm Street. I hope so.", "She is a baker. I hope so.", "No idea.", "Hm"], "I hope so.", 0.5),
        (["他住在这里。很高兴帮忙！", "好的。很高兴帮忙！"], "很高兴帮忙！", 1.0),
        (["At 5.30. Done. ", "Done."], "Done.", 1.0),
    ],
)  # fmt: skip
def test_the_commonest_ending_is_the_last_sentence_that_most_share(texts, ending, share):
    assert commonest_ending(texts) == (ending, share)


def test_answers_that_are_all_one_have_few_new_bigrams():
    assert distinct(["a b c"] * 10) == pytest.approx(0.1)
    assert distinct(["a b c", "d e f"]) == 1
    assert distinct([]) == 0
