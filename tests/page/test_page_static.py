"""The page without a browser: its words, its colours, its structure, and what its scripts must never do."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "minigpt" / "web" / "static"
HTML = (STATIC / "index.html").read_text(encoding="utf-8")
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("js/*.js"))}
STYLES = {path.name: path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("css/*.css"))}
WORDS = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted(STATIC.glob("i18n/*.json"))}
EVERYTHING = {"index.html": HTML, **SCRIPTS, **STYLES}

VOID = {"meta", "link", "input", "br", "hr", "img"}


class Outline(HTMLParser):
    """Every element with its attributes and the names of those around it."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, {name: value or "" for name, value in attributes}, list(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"


@pytest.fixture(scope="module")
def elements():
    outline = Outline()
    outline.feed(HTML)
    assert outline.open == []
    return outline.elements


def test_the_report_card_has_the_colours_of_the_page():
    report = STATIC.parents[1] / "evaluation" / "report" / "style.css"
    own, pages = (
        dict(re.findall(r"(--\w+): (light-dark\(.+?\));", text))
        for text in (report.read_text(encoding="utf-8"), STYLES["base.css"])
    )
    shared = own.keys() & pages.keys()
    assert {"--paper", "--ink", "--muted", "--line"} <= shared
    assert {name: own[name] for name in shared} == {name: pages[name] for name in shared}


# Words.


def test_every_language_has_the_same_keys_and_places():
    english = WORDS["en"]
    assert {"en", "zh-Hans"} <= set(WORDS)
    for language, words in WORDS.items():
        assert list(words) == list(english), f"{language}: {set(words) ^ set(english)}"
        for key, text in words.items():
            assert text.strip(), f"{language}: {key} is empty"
            places = [sorted(re.findall(r"\{(\w+)\}", one)) for one in (text, english[key])]
            assert places[0] == places[1], f"{language}: {key} has other places than the English text"


def test_chinese_is_chinese():
    names = {"page.title", "setting.top_p", "setting.top_k", "setting.min_p", "compare.kl", "column.kl"}
    for key, text in WORDS["zh-Hans"].items():
        assert key in names or re.search(r"[一-鿿]", text), f"{key} is not translated: {text}"


def test_every_used_word_exists_and_every_word_is_used():
    used = set(re.findall(r'\bt\(\s*"([\w.]+)"', "".join(SCRIPTS.values())))
    used |= set(re.findall(r'data-i18n[a-z-]*="([\w.]+)"', HTML))
    # Some keys stand in other places than t("..."): chosen by a condition, handed on, or put together.
    loose = set(re.findall(r'"([a-z][A-Za-z]*(?:\.\w+)+)"', "".join(SCRIPTS.values())))
    made = re.findall(r"`((?:\w+\.)+)\$\{[^`]+?\}(\.\w+)?`", "".join(SCRIPTS.values()))
    english = set(WORDS["en"])
    assert used <= english, f"not in the dictionary: {used - english}"
    for key in english - used - loose:
        assert any(key.startswith(begin) and key.endswith(end) for begin, end in made), f"{key} is used nowhere"
    thumbs = {f"chat.thumb.{thumb}" for thumb in ("up", "down")}
    stages = {f"stage.{stage}" for stage in ("pretrain", "sft", "reward", "ppo", "dpo")}
    states = {f"retrain.{state}" for state in ("running", "done", "failed", "cancelled")}
    assert thumbs | stages | states <= english


def test_every_setting_is_explained():
    bodies = pytest.importorskip("minigpt.web.bodies")
    for language, words in WORDS.items():
        for name in [*bodies.Decoding.model_fields, *bodies.BeamSearch.model_fields]:
            assert f"setting.{name}" in words and f"setting.{name}.meaning" in words, f"{language}: {name}"


def test_the_servers_limits_and_defaults_stand_in_no_script():
    """They come with /api/settings; a second copy would go on saying what the server has long changed."""
    bodies, web = pytest.importorskip("minigpt.web.bodies"), pytest.importorskip("minigpt.web")
    limits = {limit for limit in bodies.limits(web.Settings()).values() if limit > 9}
    limits |= {limit - 1 for limit in limits} | {limit * 3 // 4 for limit in limits}
    for name in ("chat.js", "conversation.js", "limits.js", "reply.js", "reproduce.js", "settings.js"):
        numbers = {int(number) for number in re.findall(r"(?<![\w.])\d+(?![\w.])", SCRIPTS[name])}
        assert not numbers & limits, name
        settings = "|".join(["default", "minimum", "maximum", *bodies.Decoding.model_fields])
        assert not re.search(rf"\b({settings}): [1-9.]", SCRIPTS[name]), name
    assert not re.search(r'\smaxlength="|type="number"[^>]*\smax="', HTML)


# Safety.


def test_text_is_only_ever_set_as_text():
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setHTML|srcdoc|Fragment\("
    for name, source in SCRIPTS.items():
        assert not re.search(sinks, source), name
        assert not re.search(r"setTimeout\(\s*[\"'`]", source), name
    assert not re.search(sinks, HTML)


def test_nothing_comes_from_elsewhere():
    for name, source in EVERYTHING.items():
        urls = set(re.findall(r"https?://[^\s\"'`)]+", source)) - {"http://www.w3.org/2000/svg"}
        assert not urls, f"{name}: {urls}"
        assert not re.search(r"@import|\burl\(", source), name


def test_nothing_is_inline(elements):
    """The content security policy would not let it run."""
    for tag, attributes, _ in elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        assert tag != "style"
        assert tag != "script" or attributes.get("src", "").startswith("/static/js/")
    for name, source in SCRIPTS.items():
        assert 'setAttribute("style"' not in source, name


def test_every_file_that_is_named_exists(elements):
    for _, attributes, _ in elements:
        for name in ("src", "href"):
            path = attributes.get(name, "")
            if path.startswith("/static/"):
                assert (STATIC / path.removeprefix("/static/")).is_file(), path
    for name, source in SCRIPTS.items():
        for path in re.findall(r'from "\./([\w.]+)"', source):
            assert path in SCRIPTS, f"{name} imports {path}"


def test_every_import_is_used_and_every_id_exists(elements):
    ids = [attributes["id"] for _, attributes, _ in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    made = set(re.findall(r'\bid: ["`]([\w-]+)["`]', "".join(SCRIPTS.values())))
    for name, source in SCRIPTS.items():
        body = re.sub(r"import [^;]+;", "", source)
        for names in re.findall(r"import \{([^}]+)\}", source):
            for one in names.split(","):
                assert re.search(rf"(?<!\w){re.escape(one.strip())}(?!\w)", body), f"{name}: {one.strip()}"
        for one in re.findall(r'\$\("#([\w-]+)', source):
            assert one in ids or one in made, f"{name} looks for #{one}"


def test_files_are_short():
    for name, source in EVERYTHING.items():
        assert source.count("\n") < 350, name
        if name != "index.html":
            assert max(map(len, source.splitlines())) <= 120, name


def test_styles_are_whole():
    """Every rule is closed, and no semicolon stands outside of one: it would swallow the rule after it."""
    for name, source in STYLES.items():
        depth = 0
        for sign in re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL):
            depth += (sign == "{") - (sign == "}")
            assert depth >= (sign == ";"), name
        assert depth == 0, name


# Structure.


def test_landmarks_and_headings(elements):
    tags = [tag for tag, _, _ in elements]
    assert tags.count("main") == 1 and tags.count("header") >= 1 and "nav" in tags
    sections = [attributes for tag, attributes, around in elements if tag == "section" and around[-1] == "main"]
    assert [one["id"] for one in sections] == [f"view-{v}" for v in ("chat", "compare", "inside", "vote", "training")]
    ids = {attributes.get("id") for _, attributes, _ in elements}
    for _, attributes, _ in elements:
        for name in ("aria-labelledby", "aria-describedby", "aria-controls", "for"):
            for one in attributes.get(name, "").split():
                assert one in ids, f"{name}={one}"
    assert tags.count("h1") == len(sections)


def test_every_control_has_a_name(elements):
    labelled = {attributes["for"] for tag, attributes, _ in elements if tag == "label"}
    for tag, attributes, _ in elements:
        if tag in ("input", "select", "textarea"):
            assert attributes.get("id") in labelled or "aria-label" in attributes, attributes
        if tag in ("nav", "aside"):
            assert "aria-label" in attributes or "aria-labelledby" in attributes, attributes
        if "aria-label" in attributes:
            assert "data-i18n-label" in attributes, f"{attributes} is not translated"
        assert int(attributes.get("tabindex", "0")) <= 0


def test_finished_answers_are_announced(elements):
    [log] = [attributes for _, attributes, _ in elements if attributes.get("role") == "log"]
    assert log["aria-live"] == "polite"


def test_english_in_the_page_is_that_of_the_dictionary():
    """What is seen before the dictionary is there, or in the source, is the same sentence."""
    for key, text in re.findall(r'data-i18n="([\w.]+)"[^<>]*>([^<>]*)<', HTML):
        if key not in ("chat.keys", "compare.note"):
            assert text == WORDS["en"][key], key


# Colours.


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def themes() -> dict[str, dict[str, str]]:
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", STYLES["base.css"])
    return {name: {one: values[i] for one, *values in pairs} for i, name in enumerate(("light", "dark"))}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(theme):
    colours = themes()[theme]
    text = [("ink", "paper"), ("ink", "surface"), ("ink", "raised"), ("ink", "accent-soft"), ("muted", "paper"),
            ("muted", "surface"), ("muted", "raised"), ("accent", "paper"), ("accent", "surface"),
            ("accent", "accent-soft"), ("on-accent", "accent"), ("warn", "paper"), ("warn", "surface"),
            ("warn", "warn-soft"), ("paper", "ink")]  # fmt: skip
    for front, back in text:
        assert contrast(colours[front], colours[back]) >= 4.5, f"{front} on {back}"
    for line in ("edge", "series-0", "series-1", "series-2", "series-3"):
        for back in ("paper", "surface"):
            assert contrast(colours[line], colours[back]) >= 3, f"{line} on {back}"


def test_every_colour_is_a_named_one():
    for name, source in STYLES.items():
        rest = re.sub(r"light-dark\([^)]+\)", "", source)
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?![^{]*\{)", rest), name


def test_every_variable_is_defined():
    defined = set(re.findall(r"(--[\w-]+):", "".join(STYLES.values()))) | {"--share"}
    for name, source in STYLES.items():
        assert set(re.findall(r"var\((--[\w-]+)", source)) <= defined, name


def test_motion_can_be_switched_off():
    assert "prefers-reduced-motion: reduce" in STYLES["base.css"]


def test_a_line_is_known_by_its_dashes_too():
    styles = re.findall(r'\.line\[data-series="\d"\] \{[^}]*stroke-dasharray: ([^;]+);', STYLES["pictures.css"])
    assert len(styles) == len(set(styles)) == 4
