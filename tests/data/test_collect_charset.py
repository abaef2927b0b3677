"""Which characters a page is made of: its mark, the server and the page itself say so, and only then it is guessed."""

from __future__ import annotations

import gzip
import json

import pytest

pytest.importorskip("trafilatura", reason="collecting is an optional extra: pip install -e .[collect]")

from minigpt.data.collect.charset import decode_page

pytest_plugins = ["helpers.collect_fixtures"]

ENGLISH = "The keeper of the light walked along the quay and counted the boats before breakfast. " * 3
#: A sentence of each, amid English: too little to guess from.
WORDS = {
    "iso-8859-1": "Möwe und Größe",
    "iso-8859-2": "Šťastná přístavní věž",
    "iso-8859-7": "ο φύλακας του φάρου",
    "windows-1252": "“Café” – naïve €",
    "windows-1251": "маяк и чайка",
    "koi8-r": "смотритель маяка",
    "gbk": "守灯塔的老头",
    "gb2312": "港口的早晨",
    "big5": "守燈塔的老頭",
    "shift_jis": "灯台守とカモメ①",  # the circled one is only in Windows' Shift_JIS, as browsers read it
    "euc-jp": "灯台守とカモメ",
    "euc-kr": "등대지기와 갈매기",
    "utf-8": "Möwe 🦊 灯台守",
    "utf-16le": "Größe 🦊 灯台守",
}
CODECS = {"shift_jis": "cp932"}


def page(words: str, head: str = "") -> str:
    body = f"<h1>{words}</h1><p>{ENGLISH} {words}.</p><p>{ENGLISH}</p>"
    return f"<html><head>{head}<title>{words}</title></head><body><article>{body}</article></body></html>"


def encoded(charset: str, head: str = "") -> bytes:
    return page(WORDS[charset], head).encode(CODECS.get(charset, charset))


def collected(collect, tmp_path, *places: object) -> dict[str, dict]:
    collect("add", *places, "--delay", "0", "--shortest", "40")
    collect("export", tmp_path / "pages.jsonl")
    rows = map(json.loads, (tmp_path / "pages.jsonl").read_text("utf-8").splitlines())
    return {row["url"].rpartition("/")[2].removesuffix(".html"): row for row in rows}


def test_the_servers_charset_counts(site, collect, tmp_path):
    for charset in WORDS:
        site.answers[f"/{charset}"] = (200, f"text/html; charset={charset.upper()}", encoded(charset))
    found = collected(collect, tmp_path, *(site.url(f"/{charset}") for charset in WORDS))
    assert {charset: (row["title"], WORDS[charset] in row["text"]) for charset, row in found.items()} == {
        charset: (words, True) for charset, words in WORDS.items()
    }


@pytest.mark.parametrize(
    "head", ['<meta charset="{}">', "<meta http-equiv='Content-Type' content='text/html; charset={}'>"]
)
def test_a_saved_pages_own_charset_counts(collect, tmp_path, head):
    for charset in WORDS.keys() - {"utf-16le"}:
        (tmp_path / f"{charset}.html").write_bytes(encoded(charset, head.format(charset)))
    (tmp_path / "utf-16le.html").write_bytes(b"\xff\xfe" + encoded("utf-16le"))
    found = collected(collect, tmp_path, tmp_path)
    assert {charset: row["title"] for charset, row in found.items()} == WORDS


def test_the_order_is_that_of_browsers():
    text = page("naïve", '<meta charset="iso-8859-2">')
    assert decode_page(text.encode("utf-8"), "utf-8") == text, "the server before the page"
    assert decode_page(b"\xef\xbb\xbf" + text.encode("utf-8"), "iso-8859-5") == text, "the mark before both"
    assert decode_page(text.encode("cp1252"), "no-such-charset") == text.encode("cp1252").decode("iso-8859-2")
    hidden = page("naïve", '<!-- <meta charset="koi8-r"> -->')
    assert decode_page(hidden.encode("utf-8")) == hidden, "what is commented out says nothing"
    xhtml = f'<?xml version="1.0" encoding="iso-8859-2"?>{page("Šťastná")}'
    assert decode_page(xhtml.encode("iso-8859-2")) == xhtml
    says_utf16 = page("naïve", '<meta charset="utf-16">')
    assert decode_page(says_utf16.encode("utf-8")) == says_utf16, "in ASCII letters it cannot be UTF-16"


@pytest.mark.parametrize("label", ["", "hex", "unicode_escape", "utf-7", "rot13", "punycode", "a\0b", "é", "x" * 500])
def test_no_label_makes_python_run_a_stranger_codec(label):
    text = page("\\x41 +AEE- naïve")
    assert decode_page(text.encode("utf-8"), label) == text
    marked = page("\\x41 naïve", f'<meta charset="{label}">')
    assert decode_page(marked.encode("utf-8")) == marked


def test_undeclared_pages_are_utf8_or_western():
    for encoding in ("utf-8", "cp1252"):
        text = page("Café – naïve")
        assert decode_page(text.encode(encoding)) == text
    assert decode_page(b"\x80\x81\xff" * 50)  # binary rubbish is some text or other


def test_a_page_that_the_server_packs_unasked_is_unpacked(site, collect, tmp_path):
    body = encoded("utf-8")
    site.headers["/packed"] = {"Content-Encoding": "gzip"}
    site.answers["/packed"] = (200, "text/html; charset=utf-8", gzip.compress(body))
    site.headers["/odd"] = {"Content-Encoding": "br"}
    site.answers["/odd"] = (200, "text/html", b"\x1b\x0a\x80")
    site.headers["/bomb"] = {"Content-Encoding": "gzip"}
    site.answers["/bomb"] = (200, "text/html", gzip.compress(bytes(6_000_000)))
    told = collect("add", *map(site.url, ("/packed", "/odd", "/bomb")), "--delay", "0", "--shortest", "40")
    assert " 1 kept; not kept: 1 packed in an unknown way, 1 too large" in told


def test_files_of_a_folder_that_are_no_pages_are_counted(collect, tmp_path):
    (tmp_path / "a.html").write_bytes(encoded("utf-8"))
    (tmp_path / "b.mhtml").write_text("MIME-Version: 1.0", encoding="utf-8")
    assert " 1 kept; not kept: 1 without the ending .html" in collect("add", tmp_path, "--shortest", "40")
