"""A web page's bytes as text: by its byte order mark, what the server says, what the page says, and only then a guess.

The order and the meaning of the labels are those of browsers (WHATWG, HTML 13.2.3 and Encoding 4.2).
"""

from __future__ import annotations

import codecs
import re

#: How much of a page may stand before it says what it is encoded in; browsers look at 1,024 bytes.
SNIFFED = 4096
#: What browsers take a label for, where it names a smaller relative of what pages are really written in.
MEANT = {
    "iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932", "euc_kr": "cp949",
    "utf-16": "utf-16-le",
}  # fmt: skip
#: Labels of the web that Python does not know.
WEB_LABELS = {
    "x-sjis": "cp932", "x-gbk": "gb18030", "x-euc-jp": "euc_jp", "x-big5": "big5hkscs", "dos-874": "cp874",
    "iso-8859-8-i": "iso8859-8", "iso-8859-8-e": "iso8859-8", "x-cp1250": "cp1250", "x-cp1251": "cp1251",
    "x-cp1252": "cp1252", "x-mac-roman": "mac-roman", "x-mac-cyrillic": "mac-cyrillic", "x-user-defined": "cp1252",
    "unicode-1-1-utf-8": "utf-8",
}  # fmt: skip
#: What pages may be encoded in. Python has stranger codecs, such as one that runs escapes.
ENCODINGS = {
    "utf-8", "utf-16-le", "utf-16-be", "cp866", "koi8-r", "koi8-u", "mac-roman", "mac-cyrillic", "cp874", "gb18030",
    "big5hkscs", "euc_jp", "iso2022_jp", "cp932", "cp949", *(f"cp125{n}" for n in range(9)),
    *(f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
}  # fmt: skip
MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
META = re.compile(rb"<meta[\s/][^>]*?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
XML = re.compile(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)
#: Below this share of bytes that are not ASCII there is too little to guess from; a page is western then.
ENOUGH = 0.05
GUESSED_FROM = 50_000  # bytes


def decode_page(data: bytes, charset: str = "") -> str:
    """The page as text; `charset` is what the server's Content-Type says. Bytes that do not fit become U+FFFD."""
    for mark, name in MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    head = data[:SNIFFED]
    for name in ("utf-16-le", "utf-16-be"):
        if head.startswith("<".encode(name)):
            return data.decode(name, "replace")
    encoding = _encoding(charset) or _declared(head) or _guess(data)
    return data.decode(encoding, "replace")


def _encoding(label: str) -> str | None:
    """The codec that a label means; None for one that browsers do not know."""
    label = label.strip().lower()
    try:
        name = WEB_LABELS.get(label) or codecs.lookup(label).name
    except (LookupError, ValueError):
        return None
    name = MEANT.get(name, name)
    return name if name in ENCODINGS else None


def _declared(head: bytes) -> str | None:
    found = XML.match(head) or META.search(COMMENT.sub(b"", head))
    encoding = _encoding(found[1].decode("ascii", "replace")) if found else None
    # A page in UTF-16 could not say so in ASCII: whoever wrote it meant UTF-8.
    return "utf-8" if encoding and encoding.startswith("utf-16") else encoding


def _guess(data: bytes) -> str:
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        pass
    sample = data[:GUESSED_FROM]
    if sum(byte > 127 for byte in sample) < ENOUGH * len(sample):
        return "cp1252"
    from charset_normalizer import from_bytes  # comes with trafilatura

    best = from_bytes(sample).best()
    return (best and _encoding(best.encoding)) or "cp1252"
