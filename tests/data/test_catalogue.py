"""The catalogue: found on disk, fetched over a loopback server, checked, unpacked safely."""

import hashlib
import io
import re
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from minigpt import cli
from minigpt.data import catalogue
from minigpt.data.catalogue import Entry, Source, corpora_dir, fetch, find, get, load_catalogue
from minigpt.data.download import USER_AGENT, download, extract
from minigpt.errors import UserError
from minigpt.recipe import load_recipe

BODY = bytes(range(256)) * 1000


class Server(ThreadingHTTPServer):
    """Serves `files`; remembers requests; `cut` ends answers early, `resumes` decides about Range."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None, str | None]] = []
        self.cut: int | None = None
        self.resumes = True

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name, wanted = self.path.lstrip("/"), self.headers.get("Range")
        self.server.requests.append((name, wanted, self.headers.get("User-Agent")))
        if name not in self.server.files:
            self.send_error(404)
            return
        body, start = self.server.files[name], 0
        match = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        if match and self.server.resumes:
            start = int(match[1])
            if start >= len(body):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:][: self.server.cut])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # a proxy of the machine knows nothing of this server
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def zipped(**files: bytes) -> bytes:
    """A zip of these members, each under the very name it is given."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return memory.getvalue()


def entry(*sources: Source, **changes: object) -> Entry:
    fields = {"name": "toy", "title": "Toy", "folder": "toy corpus", "licence": "none", "cite": "nobody"}
    return Entry(**(fields | {"source": sources} | changes))  # type: ignore[arg-type]


def test_fetch_single_files_with_our_own_name(server: Server, tmp_path: Path) -> None:
    server.files["remote.txt"] = BODY
    toy = entry(Source(urls={"a.txt": server.url("remote.txt")}), main="a.txt")
    assert fetch(toy, tmp_path) == tmp_path / "toy corpus" / "a.txt"
    assert (tmp_path / "toy corpus" / "a.txt").read_bytes() == BODY
    assert [r[2] for r in server.requests] == [USER_AGENT]


def test_a_corpus_on_disk_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    toy = entry(Source(urls={"a.txt": server.url("a.txt")}), aliases=("old name",))
    (tmp_path / "old name").mkdir()
    (tmp_path / "old name" / "a.txt").write_bytes(b"here")
    assert fetch(toy, tmp_path) == tmp_path / "old name"
    assert server.requests == []


def test_interrupted_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.files["a.txt"] = BODY
    server.cut = 1000
    toy = entry(Source(urls={"a.txt": server.url("a.txt")}), sha256={"a.txt": hashlib.sha256(BODY).hexdigest()})
    with pytest.raises(UserError, match="ended after 1,000 of 256,000 bytes"):
        fetch(toy, tmp_path)
    assert toy.locate(tmp_path) is None
    server.cut = None
    place = fetch(toy, tmp_path)
    assert (place / "a.txt").read_bytes() == BODY
    assert [r[1] for r in server.requests] == [None, "bytes=1000-"]


def test_a_server_that_cannot_resume_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.files["a"] = BODY
    server.resumes = False
    (tmp_path / "a.part").write_bytes(b"half")
    assert download(server.url("a"), tmp_path / "a").read_bytes() == BODY


def test_a_part_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    server.files["a"] = b"short"
    (tmp_path / "a.part").write_bytes(b"much too long")
    assert download(server.url("a"), tmp_path / "a").read_bytes() == b"short"
    assert not (tmp_path / "a.part").exists()


def test_wrong_hash_is_refused_and_nothing_stays(server: Server, tmp_path: Path) -> None:
    server.files["a.txt"] = b"tampered"
    toy = entry(Source(urls={"a.txt": server.url("a.txt")}), sha256={"a.txt": "0" * 64})
    with pytest.raises(UserError, match="is not the file its publisher put out"):
        fetch(toy, tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_second_mirror_is_used_when_the_first_fails(server: Server, tmp_path: Path) -> None:
    good = b"true text"
    server.files |= {
        "bad.zip": b"<html>gone</html>",
        "wrong.txt": b"other",
        "good.zip": zipped(**{"x/a.txt": good}),
    }
    toy = entry(
        Source(archive=server.url("missing.zip"), files=("a.txt",)),
        Source(archive=server.url("bad.zip"), files=("a.txt",)),
        Source(urls={"a.txt": server.url("wrong.txt")}),
        Source(archive=server.url("good.zip"), files=("a.txt",)),
        sha256={"a.txt": hashlib.sha256(good).hexdigest()},
    )
    assert (fetch(toy, tmp_path) / "a.txt").read_bytes() == good
    assert [r[0] for r in server.requests] == ["missing.zip", "bad.zip", "wrong.txt", "good.zip"]


def test_halves_of_two_mirrors_are_never_joined(server: Server, tmp_path: Path) -> None:
    server.files |= {"one/a.txt": b"1" * 2000, "two/a.txt": b"2" * 2000}
    server.cut = 1000
    mirrors = [entry(Source(urls={"a.txt": server.url(f"{name}/a.txt")})) for name in ("one", "two")]
    with pytest.raises(UserError, match="ended after"):
        fetch(mirrors[0], tmp_path)
    server.cut = None
    assert (fetch(mirrors[1], tmp_path) / "a.txt").read_bytes() == b"2" * 2000


def test_without_a_network_it_says_where_to_put_the_files(tmp_path: Path) -> None:
    toy = entry(Source(archive="http://127.0.0.1:9/toy.zip", files=("a.txt", "b.txt")))
    with pytest.raises(
        UserError, match=r"download http://127\.0\.0\.1:9/toy\.zip .*put a\.txt and b\.txt into .*toy corpus"
    ):
        fetch(toy, tmp_path)


def test_unpacking_takes_only_what_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(**{"__MACOSX/in/a.txt": b"shadow", "in/a.txt": b"real", "in/huge.bin": b"x"}))
    (tmp_path / "out").mkdir()
    extract(path, ["a.txt"], tmp_path / "out")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == {"a.txt": b"real"}
    with pytest.raises(UserError, match=r"holds no b\.txt"):
        extract(path, ["b.txt"], tmp_path / "out")


@pytest.mark.parametrize("evil", ["../evil.txt", "in/../../evil.txt", "/evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_a_zip_that_leads_out_of_its_folder_is_refused(server: Server, tmp_path: Path, evil: str) -> None:
    server.files["evil.zip"] = zipped(**{"in/a.txt": b"fine", evil: b"evil"})
    toy = entry(Source(archive=server.url("evil.zip"), files=("a.txt",)))
    with pytest.raises(UserError, match="unsafe path"):
        fetch(toy, tmp_path / "corpora")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_corpora_dir_prefers_the_flag_then_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIGPT_CORPORA", raising=False)
    assert corpora_dir() == Path("corpora")
    monkeypatch.setenv("MINIGPT_CORPORA", "elsewhere")
    assert corpora_dir() == Path("elsewhere")
    assert corpora_dir("flag") == Path("flag")


def test_the_command_leaves_with_2_after_a_wrong_hash(server: Server, tmp_path: Path, monkeypatch, capsys) -> None:
    server.files["a.txt"] = b"tampered"
    toy = entry(Source(urls={"a.txt": server.url("a.txt")}), sha256={"a.txt": "0" * 64})
    monkeypatch.setattr(catalogue, "load_catalogue", lambda *_: {toy.name: toy})
    with pytest.raises(SystemExit) as left:
        cli.run(lambda: catalogue.main(["--corpora-dir", str(tmp_path), "fetch", toy.name]))
    told = capsys.readouterr().err
    assert left.value.code == 2 and "is not the file its publisher put out" in told and "Traceback" not in told
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.usefixtures("no_sockets")
def test_reading_opens_no_socket(tmp_path: Path, monkeypatch) -> None:
    """Only `fetch` and `collect` go to the network."""
    monkeypatch.chdir(tmp_path)
    assert catalogue.main(["--corpora-dir", str(tmp_path), "list"]) == 0
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "tinyshakespeare.txt").write_text("To be.\n\nOr not to be.\n", encoding="utf-8")
    assert load_recipe("shakespeare").open_corpus("pretrain", str(tmp_path)).train
    for recipe, stage in (("movie", "sft"), ("expand-alpaca", "reward"), ("summary-tldr", "ppo")):
        with pytest.raises(UserError, match="corpora fetch"):
            load_recipe(recipe).open_corpus(stage, str(tmp_path))


def test_find_never_downloads_and_tells_both_ways(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"corpora fetch wikitext-2, or download https://.* put wiki\.train\.tokens"):
        find("wikitext-2", tmp_path)


def test_find_knows_the_publishers_folder_name(tmp_path: Path) -> None:
    folder = tmp_path / "cornell movie-dialogs corpus"
    folder.mkdir()
    (folder / "movie_lines.txt").touch()
    with pytest.raises(UserError, match="cornell is not in"):  # half a corpus is none
        find("cornell", tmp_path)
    (folder / "movie_conversations.txt").touch()
    assert find("cornell", tmp_path) == folder


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean wikitext-2"):
        get("wikitext2")


def test_every_entry_of_the_shipped_catalogue_is_complete() -> None:
    entries = load_catalogue()
    assert {"wikitext-2", "cornell", "tinyshakespeare"} <= entries.keys()
    for item in entries.values():
        assert item.source and item.licence and item.cite
        for source in item.source:
            assert sum(map(bool, (source.archive, source.urls, source.page))) == 1
            assert source.names and source.where.startswith("https://")
            assert not item.main or item.main in source.names
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in item.sha256.values())


def test_defect_12_wikitext_needs_no_torchtext_and_bytes_are_checked(server: Server, tmp_path: Path) -> None:
    shipped = get("wikitext-2")
    assert len(shipped.source) >= 2
    assert set(shipped.sha256) == set(shipped.source[0].files) == {"wiki.train.tokens", "wiki.valid.tokens"}
    server.files["w.zip"] = zipped(**{"w/wiki.train.tokens": b"403 Forbidden", "w/wiki.valid.tokens": b""})
    moved = entry(Source(archive=server.url("w.zip"), files=shipped.source[0].files), sha256=shipped.sha256)
    with pytest.raises(UserError, match=r"wiki\.train\.tokens is not the file its publisher put out"):
        fetch(moved, tmp_path)
    assert moved.locate(tmp_path) is None


def test_broken_catalogue_is_named(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_text('[a]\ntitle = "no source"\n', encoding="utf-8")
    with pytest.raises(UserError, match=r"catalogue\.toml: .*source"):
        load_catalogue(path)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "tinyshakespeare.txt").write_text("x", encoding="utf-8")
    assert catalogue.main(["--corpora-dir", str(tmp_path), "list"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"wikitext-2 +not on disk", printed)
    assert re.search(r"tinyshakespeare +.*tinyshakespeare\.txt", printed)
    assert catalogue.main(["--corpora-dir", str(tmp_path), "fetch", "tinyshakespeare"]) == 0
    with pytest.raises(UserError, match="there is no corpus 'nonsense'"):
        catalogue.main(["fetch", "nonsense"])


def test_what_only_people_can_download_is_found_and_never_fetched(tmp_path: Path) -> None:
    source = Source(files=("lines.csv",), page="https://example.org/needs-an-account")
    entry = Entry("films", "", "films", "", "", (source,))
    with pytest.raises(
        UserError, match=r"wants an account.*download https://example.org/needs-an-account in a browser"
    ):
        fetch(entry, tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "lines.csv").touch()
    assert fetch(entry, tmp_path) == tmp_path / "films"


def test_a_mirror_whose_files_have_other_names_says_which_is_to_be_read(tmp_path: Path) -> None:
    toy = entry(Source(archive="https://x/a.zip", files=("train.tsv",), main="train.tsv"),
                Source(page="https://x", files=("toy.train.tsv",), main="toy.train.tsv"))  # fmt: skip
    (tmp_path / toy.folder).mkdir()
    assert toy.locate(tmp_path) is None
    (tmp_path / toy.folder / "toy.train.tsv").touch()
    assert toy.locate(tmp_path) == tmp_path / toy.folder / "toy.train.tsv"
