"""The other views in a real Chromium, and what has to be so in all of them, against a stand-in server."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator

import pytest
from helpers.fake_server import STATIC, WORDS
from helpers.page_driver import Keys, Page, browser

pytest_plugins = ["helpers.page_fixtures"]
pytestmark = browser


def test_compare(quiet, fake):
    page = quiet
    page.go("compare")
    page.one("#compare-prompt").send_keys("Which ship?", Keys.ENTER)
    page.until(lambda: len(page.all(".column .facts dd")) >= 12)
    assert fake.asked("/api/compare")[-1]["models"] == ["tinytown/pretrain", "tinytown/sft", "tinytown/ppo"]
    heads = [one.text for one in page.all("#compare-columns h2")]
    assert heads == ["Pretrained", "Fine-tuned", "Reward-tuned (PPO)"]
    facts = [one.text for one in page.all("#compare-columns .facts")]
    assert "no reward model" in facts[0] and "1.5" in facts[1] and "2.5 (0.2 a token)" in facts[2]
    assert len({one.rect["x"] for one in page.all(".column[data-column]")}) == 3
    page.size(360, 740)
    assert len({one.rect["x"] for one in page.all(".column[data-column]")}) == 1, "on a phone they are stacked"
    page.all(".column .actions button")[2].click()
    page.until(lambda: page.all("#inside-tokens button"))


def test_look_inside(quiet, fake):
    page = quiet
    page.ask("Look at this")
    page.act("look")
    tokens = page.until(lambda: page.all("#inside-tokens .strip button"))
    assert len(tokens) == len(WORDS) + 1  # and the end
    tokens[1].click()
    assert "60%" in page.text(".alternatives .sentence") and "rank 1" in page.text(".alternatives .sentence")
    rows = page.all(".alternatives-table tbody tr")
    assert len(rows) == 4 and "20%" in rows[1].text
    page.until(lambda: page.all(".stages-table tbody tr"))
    stages = [row.text.split() for row in page.all(".stages-table tbody tr")]
    assert [row[0] for row in stages] == ["Pretrained", "Fine-tuned", "Reward-tuned"]
    assert all(row[-2:] == ["1", "60%"] for row in stages), "the stand-in's models are of one mind"
    rows[2].find_element("css selector", "button").click()
    page.until(lambda: "answer_ids" in fake.asked("/v1/chat/completions")[-1])
    assert fake.asked("/v1/chat/completions")[-1]["answer_ids"] == [0, 101], "what stood before, and the chosen token"
    page.until(lambda: page.one("#inside-back").is_displayed())
    assert page.all("#inside-xray svg .line[data-series='1']"), "reward and value"
    assert "gives this answer 2.5" in page.text("#inside-xray")


def test_attention_by_keyboard(quiet, fake):
    page = quiet
    page.ask("Look at this")
    page.act("look")
    page.until(lambda: page.all("#attention .triangle"))
    strip = page.all(".attended button")
    strip[5].click()
    assert "“is” looks most at “it” (0.9)" in page.text("#attention .sentence")
    strip[5].send_keys(Keys.ARROW_LEFT)
    assert "“it” looks most at “because” (0.9)" in page.text("#attention .sentence")
    assert page.text(".attended button[aria-pressed=true] .piece") == "·it"
    page.choose("#attention-head", "1")
    page.until(lambda: fake.asked("/api/attention")[-1].get("head") == 1)
    assert len(page.all(".triangle .cell")) == len(WORDS) * (len(WORDS) + 1) // 2


def test_beam_tree(quiet):
    page = quiet
    page.ask("Look at this")
    page.act("look")
    page.until(lambda: page.one("#beam-search").is_displayed())
    page.one("#beam-search").click()
    page.until(lambda: page.all("#beam svg"))
    assert len(page.all("#beam .branch.best")) == 2 and len(page.all("#beam .branch.dropped")) == 1
    assert "×" in page.text("#beam .node.dropped text"), "not by colour alone"
    assert " The ship" in page.text("#beam .leaves li.best")


def test_vote_and_retrain(page, fake):
    page.go("vote")
    assert "2 more" in page.text("#vote-missing")
    page.one("#retrain-start").click()
    page.sees("too few votes", "#retrain-error")
    for votes in (1, 2):
        page.one("#vote-any").click()
        page.until(lambda: page.one("#vote-buttons button").is_enabled())
        assert "tinytown" not in page.text("#pair"), "blind"
        page.run("document.activeElement.blur()")
        page.press("1")
        page.until(lambda: page.one("#vote-next").is_displayed())
        assert "tinytown/ppo" in page.text("#answer-left") and "tinytown/sft" in page.text("#answer-right")
        assert fake.asked("/api/votes")[-1]["vote"] == "left" and len(fake.asked("/api/votes")) == votes
        page.press("2")  # a vote is given once
    assert len(fake.asked("/api/votes")) == 2
    assert "2" in page.text("#vote-count") and "Enough" in page.text("#vote-missing")
    page.run("for (let i = 0; i < 2; i++) document.querySelector('#retrain-start').click()")
    page.sees("Done", "#retrain-state")
    assert page.text("#retrain-error") == "", "a double click starts one training"
    assert "81% of 50 votes" in page.text("#retrain-agreement") and "before: 52%" in page.text("#retrain-agreement")
    assert "step 1" in page.text("#retrain-lines")
    result = page.text("#retrain-result")
    assert "No better than tinytown/sft, kept as a trial" in result and "40% of 150" in result


def test_typing_a_digit_is_no_vote(quiet, fake):
    quiet.go("vote")
    quiet.one("#vote-any").click()
    quiet.until(lambda: quiet.one("#vote-buttons button").is_enabled())
    quiet.one("#search").send_keys("1234")
    assert fake.asked("/api/votes") == []


def test_search_and_counts(quiet):
    quiet.go("vote")
    quiet.one("#search").send_keys("ship", Keys.ENTER)
    quiet.sees("ship", "#search-results mark")
    assert quiet.text("#search-results mark") == "ship", "counted in characters, not in halves of an emoji"
    assert len(quiet.all("#stats .bar[data-series]")) >= 4 and "50%" in quiet.text("#stats")


def test_the_numbers_of_a_chart_are_saved_as_csv(quiet):
    quiet.go("vote")
    quiet.until(lambda: quiet.all("#stats .data button"))
    quiet.run("URL.createObjectURL = (blob) => { blob.text().then((text) => { window.saved = text; }); return '#'; }")
    quiet.run("document.querySelector('#stats .data button').click()")
    lines = quiet.until(lambda: quiet.run("return window.saved")).split("\r\n")
    rows = list(csv.reader(lines[:-1]))
    assert rows[0] == ["Day", "Model", "Answers", "Votes", "Won"] and lines[-1] == ""
    assert all(len(row) == 5 and int(row[3]) >= 0 for row in rows[1:]) and len(rows) > 2


def test_training(quiet):
    page = quiet
    page.go("training")
    page.until(lambda: page.all("#curves .line"))
    assert "validation loss" in page.text("#curves .legend")
    page.all("#runs button")[1].click()
    page.sees("good, by the grader, held out", "#curves .legend")
    assert "learned reward" in page.text("#curves .legend") and "sample 40" in page.text("#samples")
    assert "right, by the grader" not in page.text("#curves .legend"), "the last mark is for the whole answer"
    slider = page.one("#step")
    slider.send_keys(Keys.ARROW_LEFT)
    page.sees("sample 20", "#samples")
    assert slider.get_attribute("aria-valuetext") == "step 20"
    assert "0.96" in page.text("#step-rewards") and "2" in page.text("#step-rewards")
    assert page.all("#curves .mark")


# For everybody.


def views_with_content(page: Page) -> Iterator[str]:
    """Every view, once something is in it."""
    page.ask("A question that is long enough to need a second line on a telephone, surely")
    yield "chat"
    page.act("look")
    page.until(lambda: page.all("#attention .triangle"))
    page.one("#beam-search").click()
    page.until(lambda: page.all("#beam svg"))
    yield "inside"
    page.go("compare")
    page.one("#compare-prompt").send_keys("Hello", Keys.ENTER)
    page.until(lambda: page.all(".column .actions button"))
    yield "compare"
    page.go("vote")
    page.one("#vote-any").click()
    page.until(lambda: page.one("#vote-buttons button").is_enabled())
    yield "vote"
    page.go("training")
    page.until(lambda: page.all("#curves .line"))
    yield "training"


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
@pytest.mark.parametrize("width", [320, 360])
def test_no_sideways_scroll_and_targets_of_24_pixels(quiet, width, language):
    page = quiet
    page.choose("#language", language)
    page.until(lambda: page.run("return document.documentElement.lang") == language)
    page.size(width, 740)
    for view in views_with_content(page):
        assert page.run("return document.documentElement.scrollWidth") <= width, view
        small = page.run("""
            return [...document.querySelectorAll('button, select, input:not([type=checkbox]), textarea, a, summary')]
              .filter((e) => e.checkVisibility() && !e.classList.contains('skip'))
              .map((e) => [e, e.getBoundingClientRect()]).filter(([, r]) => r.width < 23.9 || r.height < 23.9)
              .map(([e, r]) => `${e.tagName} ${e.id} ${e.className} ${r.width}x${r.height}`)""")
        assert small == [], view


def test_languages(quiet):
    page = quiet
    page.choose("#language", "zh-Hans")
    page.until(lambda: page.run("return document.documentElement.lang") == "zh-Hans")
    english = json.loads((STATIC / "i18n/en.json").read_text(encoding="utf-8"))
    sentences = {text for text in english.values() if len(text) > 12 and "{" not in text and "," not in text}
    for view in views_with_content(page):
        shown = page.text(f"#view-{view}") + page.text(".top")
        assert not [text for text in sentences if text in shown], view
        assert not [key for key in english if f" {key} " in f" {shown} "], view
    page.open()
    assert page.run("return document.documentElement.lang") == "zh-Hans", "the choice is remembered"


def test_themes(quiet):
    page = quiet
    paper = lambda: page.run("return getComputedStyle(document.documentElement).backgroundColor")  # noqa: E731
    seen = {}
    for system in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": system}]
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        for theme in ("system", "light", "dark"):
            page.choose("#theme", theme)
            seen[system, theme] = paper()
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    light, dark = seen["light", "system"], seen["dark", "system"]
    assert light != dark
    assert {seen[system, "light"] for system in ("light", "dark")} == {light}
    assert {seen[system, "dark"] for system in ("light", "dark")} == {dark}


def test_focus_can_be_seen_and_follows_the_view(quiet):
    page = quiet
    page.press(Keys.TAB)
    page.go("compare")
    page.until(lambda: page.run("return document.activeElement.id") == "compare-title")
    page.press(Keys.TAB)
    style = page.run("const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.boxShadow")
    assert style != "nonenone" or page.run("return document.activeElement.matches('.composer-box textarea')")
