"""Collecting pages: politely from a loopback server, offline from a folder; kept once, searched, exported."""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("trafilatura", reason="collecting is an optional extra: pip install -e .[collect]")

from helpers.collect_site import html

from minigpt.data.collect import command, extract
from minigpt.data.collect.collector import saved_pages
from minigpt.data.collect.extract import feed_links, kind_of
from minigpt.data.collect.visitor import AGENT, Fetched, Visitor, web_address
from minigpt.data.formats import TextCorpus
from minigpt.data.formats.doccano import DoccanoRow
from minigpt.errors import UserError

pytest_plugins = ["helpers.collect_fixtures"]

ROOT = Path(__file__).parents[2]


# From disk.


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "saved"
    (folder / "deep").mkdir(parents=True)
    (folder / "fog.html").write_bytes(html("the fog"))
    (folder / "deep" / "港口.HTM").write_bytes(html("the fish market"))
    (folder / "copy.html").write_bytes(html("the fog"))
    (folder / "short.html").write_bytes(b"<html><body><p>Soon more.</p></body></html>")
    (folder / "picture.html").write_bytes(b"\xff\xd8\xff\xe0 no page at all")
    (folder / "empty.html").write_bytes(b"")
    (folder / "fog_files").mkdir()
    (folder / "fog_files" / "advert.html").write_bytes(html("an advert"))
    (folder / "notes.txt").write_text("not a page", encoding="utf-8")
    return folder


@pytest.mark.usefixtures("no_sockets")
def test_a_folder_is_read_without_a_network_and_each_page_once(folder, collect):
    told = collect("add", folder)
    assert " 2 kept" in told and "pages:     2 in" in told
    assert "1 duplicate, 1 not HTML, 1 too large or empty, 1 too short" in told
    assert " 0 kept; not kept: 6 known before" in collect("add", folder)
    (folder / "fog.html").write_bytes(html("the lifted fog"))
    assert " 1 kept; not kept: 5 known before" in collect("add", folder)
    assert collect("search", "lifted").count("file://") == 1
    assert collect("search", "of the fog").count("file://") == 2  # its copy is still what it was


def test_the_text_comes_without_its_menu(folder, collect, tmp_path):
    collect("add", folder / "fog.html")
    collect("export", tmp_path / "pages.jsonl")
    [row] = [json.loads(line) for line in (tmp_path / "pages.jsonl").read_text("utf-8").splitlines()]
    assert "speaks of the fog" in row["text"] and row["title"] == "News"
    assert not any(word in row["text"] for word in ("Log in", "Cookies", "<p>"))
    assert row["group"] == (folder / "fog.html").as_uri()


def test_what_a_browser_saves_beside_a_page_is_no_page(folder):
    pages, others = saved_pages(folder)
    assert {path.name for path in pages}.isdisjoint({"advert.html", "notes.txt"}) and others == 1


def test_extraction_breaks_on_nothing():
    rng = random.Random(0)
    pieces = [
        b"<",
        b">",
        b"html",
        b"<p>",
        b"</div>",
        b"&#0;",
        b"\x00",
        "港".encode(),
        b"\xff",
        b"<svg",
        b"<!--",
        b"word ",
    ]
    for _ in range(60):
        data = b"<html>" + b"".join(rng.choices(pieces, k=rng.randint(0, 60)))
        assert isinstance(extract.extract(Fetched("", "", data).text, "http://example.org/").text, str)
        assert isinstance(feed_links(data), list)


# From the web.


@pytest.mark.slow
def test_everything_that_can_happen_to_a_page_is_counted_once(site, collect, tmp_path):
    site.answers["/robots.txt"] = (200, "text/plain", b"User-agent: *\nDisallow: /private\nDisallow: /*.cgi$\n")
    site.answers["/feed"] = (200, "application/rss+xml", feed(site.page("/one"), site.page("/two"), "mailto:a@b.c"))
    site.page("/copy", "the matter of /one")
    site.page("/private/diary")
    site.page("/search.cgi")
    site.answers["/photo"] = (200, "image/jpeg", b"\xff\xd8\xff\xe0")
    site.answers["/big"] = (200, "text/html", html("size") + b" " * 60_000)
    site.answers["/soon"] = (200, "text/html", b"<html><p>Soon.</p></html>")
    paths = ["/feed", "/copy", "/private/diary", "/search.cgi", "/photo", "/big", "/soon", "/gone", "/slow", "/one#top"]
    addresses = tmp_path / "addresses.txt"
    addresses.write_text("# mine\n\n" + "\n".join(map(site.url, paths)) + "\n", encoding="utf-8")
    options = ("--delay", "0", "--timeout", "2", "--largest", "0.05")
    told = collect("add", addresses, *options)
    assert " 2 kept" in told and "2 in" in told
    for reason in ("1 duplicate", "2 refused by robots.txt", "1 not HTML", "1 too large", "1 too short", "1 status 404",
                   "1 left for the next run, no answer"):  # fmt: skip
        assert reason in told, told
    assert site.agents == {AGENT} and site.asked.count("/robots.txt") == 1 and site.asked.count("/one") == 1
    assert not {"/private/diary", "/search.cgi"} & set(site.asked)
    # The next day: one new page in the feed. What was not kept is not asked for again.
    site.answers["/feed"] = (200, "application/atom+xml", feed(site.url("/one"), site.page("/three"), atom=True))
    site.asked.clear()
    told = collect("add", addresses, *options)
    assert " 1 kept" in told and "3 in" in told
    assert sorted(site.asked) == ["/feed", "/robots.txt", "/slow", "/three"]


def test_what_was_not_kept_can_be_tried_once_more(site, collect):
    urls = [site.page("/one"), site.url("/later")]
    assert "1 status 404" in collect("add", *urls, "--delay", "0")
    site.page("/later")
    assert " 0 kept; not kept: 2 known before" in collect("add", *urls, "--delay", "0")
    assert " 1 kept; not kept: 1 known before" in collect("add", *urls, "--delay", "0", "--again")
    assert site.asked.count("/one") == 1


def feed(*links: str, atom: bool = False) -> bytes:
    if atom:
        entries = "".join(f"<entry><title>t</title><link href='{link}'/></entry>" for link in links)
        return f"<?xml version='1.0'?><feed xmlns='http://www.w3.org/2005/Atom'>{entries}</feed>".encode()
    items = "".join(f"<item><title>t</title><link>{link}</link></item>" for link in links)
    return f"<?xml version='1.0'?><rss version='2.0'><channel><title>t</title>{items}</channel></rss>".encode()


def test_a_saved_feed_leads_to_its_pages(site, collect, tmp_path):
    (tmp_path / "feed.xml").write_bytes(feed(site.page("/one"), site.page("/two"), site.url("/one")))
    assert " 2 kept" in collect("add", tmp_path / "feed.xml", "--delay", "0")


def test_ctrl_c_keeps_what_there_is(site, collect, monkeypatch):
    urls = [site.page("/one"), site.page("/two")]
    fetch = Visitor.fetch
    monkeypatch.setattr(Visitor, "fetch", lambda self, url: fetch(self, url) if url == urls[0] else interrupt())

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="goes on"):
        collect("add", *urls, "--delay", "0")
    monkeypatch.setattr(Visitor, "fetch", fetch)
    told = collect("add", *urls, "--delay", "0")
    assert " 1 kept; not kept: 1 known before" in told and site.asked.count("/one") == 1


@pytest.mark.parametrize(
    "text, address",
    [
        ("http://Example.org", "http://example.org/"),
        (" https://example.org/a b?q=ä#top\n", "https://example.org/a%20b?q=%C3%A4"),
        ("https://example.org/a%20b", "https://example.org/a%20b"),
        ("http://例子.org:8080/港口", "http://xn--fsqu00a.org:8080/%E6%B8%AF%E5%8F%A3"),
        ("http://[::1]:80/", "http://[::1]:80/"),
    ],
)
def test_an_address_has_one_form(text, address):
    assert web_address(text) == address == web_address(address)


@pytest.mark.parametrize(
    "text",
    ["", "example.org", "file:///etc/passwd", "ftp://example.org/", "javascript:alert(1)", "http://", "http://[::1",
     "http://a:99999/", "http://" + "a" * 70 + ".org/", "//example.org/"],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(text):
    with pytest.raises(ValueError):
        web_address(text)


def test_pages_and_feeds_are_told_apart():
    def kind(data: bytes, media_type: str = "") -> str:
        return kind_of(Fetched("", media_type, data))

    assert kind(html("x")) == kind(html("x"), "text/html") == kind(b"<p>hello", "text/html") == "html"
    assert kind(feed("http://a.org/")) == kind(feed("http://a.org/", atom=True), "text/xml") == "feed"
    assert kind(b'<?xml version="1.0"?><html xmlns="..."/>', "application/xhtml+xml") == "html"
    assert kind(html("x"), "application/json") == kind(b"plain words") == kind(b"", "image/png") == "other"


# What becomes of the pages.


@pytest.fixture
def collected(collect, tmp_path):
    for name, about in {"a": "the fog", "b": "今天的天气", "c": "100%_of it"}.items():
        (tmp_path / f"{name}.html").write_bytes(html(about, title=name))
        collect("add", tmp_path / f"{name}.html")
    return collect


@pytest.mark.parametrize("indexed", [True, False])
def test_search_finds_words_of_any_script(collected, monkeypatch, indexed):
    if not indexed:
        monkeypatch.setattr("minigpt.data.fulltext.INDEX", "CREATE VIRTUAL TABLE x USING no_such_module(y)")
    for words, found in {
        "fog": "a", "天气": "b", "天": "b", "今天的": "b", "100%_": "c", "harbour": "cba", "fog 天": "",
        "accordion 天": "b",
    }.items():  # fmt: skip
        told = collected("search", words)
        assert [line[-1] for line in told.splitlines() if line.startswith("file:")] == list(found)
        assert f"{len(found)} pages" in told


def test_export_is_a_corpus(collected, tmp_path):
    collected("export", tmp_path / "pages.jsonl")
    corpus = TextCorpus.read(tmp_path / "pages.jsonl", valid_fraction=0.3)
    assert len(corpus.train) == len(corpus.valid) == 3 and not corpus.dropped, "the end of each page is held out"
    collected("export", tmp_path / "parts.jsonl", "--paragraphs")
    parts = TextCorpus.read(tmp_path / "parts.jsonl", valid_fraction=0.3)
    groups = [{example.group for example in split} for split in (parts.train, parts.valid)]
    assert len(parts.train) + len(parts.valid) == 9 and not groups[0] & groups[1]


def test_export_is_what_doccano_imports(collected, tmp_path):
    collected("export", tmp_path / "rows.jsonl", "--format", "doccano")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text("utf-8").splitlines()]
    assert [DoccanoRow.parse(row).metadata["title"] for row in rows] == ["a", "b", "c"]
    assert all(row["label"] == [] and "accordion" in row["text"] for row in rows)


# Mistakes.


def test_mistakes_get_a_sentence(collect, tmp_path, folder):
    (tmp_path / "list.txt").write_text("http://example.org/\nfile:///etc/passwd\n", encoding="utf-8")
    (tmp_path / "nothing").mkdir()
    for words, sentence in {
        ("add", tmp_path / "missing"): "does not exist",
        ("add", tmp_path / "nothing"): "no .html file",
        ("add", tmp_path / "list.txt"): "list.txt:2: 'file:///etc/passwd' is no web address",
        ("add", "ftp://example.org/"): "http:// or https://",
        ("add", folder, "--delay", "-1"): "negative",
        ("search", "fog"): "does not exist",
        ("export", tmp_path / "out.jsonl"): "does not exist",
    }.items():
        with pytest.raises(UserError, match=sentence.replace(".", r"\.")):
            collect(*words)
    assert not (tmp_path / "out.jsonl").exists()
    (tmp_path / "pages.sqlite").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(UserError, match="cannot be used"):
        collect("add", folder)


def test_without_the_extra_one_sentence_says_what_to_do(collect, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "trafilatura", None)  # as if it were not there
    with pytest.raises(UserError, match=r"pip install -e \.\[collect\]"):
        collect("add", folder)


def test_the_lines_for_schedulers_are_commands_that_work():
    """As they stand in the documentation and in the help: five fields of time, and arguments that are understood."""
    told = (ROOT / "corpora" / "README.md").read_text(encoding="utf-8") + (command.__doc__ or "")
    lines = re.findall(r"(?:^|\s)((?:[\d*]+ ){4}[\d*]+)\s+cd (\S+) && (\S+) corpora (\S+) (.+)$", told, re.MULTILINE)
    lines += re.findall(r"()cd /d (\S+)\s+&& (\S+)\s+corpora (\S+) (.+?)\"", told)
    assert len(lines) == 4
    for fields, _, python, module, arguments in lines:
        limits = zip(fields.split(), (59, 23, 31, 12, 7), strict=False)
        assert all(field == "*" or int(field) <= most for field, most in limits)
        assert python.startswith(".venv") and module == "collect" and python.endswith("minigpt")
        parsed = command.make_parser().parse_args(arguments.split())
        assert parsed.command == "add" and parsed.places == ["addresses.txt"]
