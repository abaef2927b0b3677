"""Being a guest on other people's servers: their rules, their pace, their redirects."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("trafilatura", reason="collecting is an optional extra: pip install -e .[collect]")

from helpers.collect_site import html

from minigpt.data.collect import visitor
from minigpt.data.collect.collector import Hosts
from minigpt.data.collect.visitor import Skipped, Visitor

pytest_plugins = ["helpers.collect_fixtures"]


def hurried(**options) -> Visitor:
    return Visitor(**{"delay": 0.0, "timeout": 5.0, **options})


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_a_host_that_hides_its_rules_is_left_alone(site, status):
    site.answers["/robots.txt"] = (status, "text/plain", b"")
    url = site.page("/one")
    guest = hurried()
    for _ in range(2):
        with pytest.raises(Skipped) as skipped:
            guest.fetch(url)
    assert skipped.value.later == (status >= 500) and site.asked == ["/robots.txt"]


def test_a_host_without_rules_allows_everything(site):
    assert hurried().fetch(site.page("/one")).data == html("the matter of /one")


def test_a_busy_host_is_not_asked_again_in_this_run(site):
    urls = [site.url(f"/{i}") for i in range(5)]
    site.answers["/0"] = (429, "text/html", b"")
    guest = hurried()
    for url in urls:
        with pytest.raises(Skipped) as skipped:
            guest.fetch(url)
        assert skipped.value.later
    assert site.asked == ["/robots.txt", "/0"]


@pytest.mark.parametrize(
    "rules, gap", [("", 2.0), ("Crawl-delay: 7", 7.0), ("Crawl-delay: 0.5", 2.0), ("Request-rate: 1/10s", 10.0)]
)
def test_a_host_is_asked_as_often_as_it_likes(site, monkeypatch, rules, gap):
    """The clock is ours: it moves only while the visitor sleeps."""
    now, naps = 100.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        naps.append(seconds)

    monkeypatch.setattr(visitor, "time", SimpleNamespace(monotonic=lambda: now, sleep=sleep))
    site.answers["/robots.txt"] = (200, "text/plain", f"User-agent: *\n{rules}\n".encode())
    guest = Visitor(delay=2.0)
    for path in ("/one", "/two", "/three"):
        guest.fetch(site.page(path))
    assert naps[0] == 0 and naps[2:] == [gap, gap]  # the first page follows upon the rules, by our own delay
    assert guest.ready(site.url("/one")) == now + gap and guest.ready("http://example.org/") == 0


def test_hosts_take_turns():
    ready = {"a.org": 3.0, "b.org": 1.0}
    line = Hosts(SimpleNamespace(ready=lambda url: ready[url.split("/")[2]]))
    for url in ("http://a.org/1", "http://a.org/2", "http://b.org/1", "http://b.org/2", "http://a.org/1"):
        line.add(url)
    visited = []
    for url in line:
        visited.append(url)
        ready[url.split("/")[2]] += 10
    assert visited == ["http://b.org/1", "http://a.org/1", "http://b.org/2", "http://a.org/2"]


def test_a_redirect_goes_where_it_may(site):
    site.page("/new")
    site.page("/private")
    site.answers["/robots.txt"] = (200, "text/plain", b"User-agent: minigpt-collect\nDisallow: /private\n")
    site.redirects |= {"/old": "/new", "/file": "file:///etc/passwd", "/loop": "/loop", "/in": "/private",
                       "/else": f"http://localhost:{site.server_port}/new"}  # fmt: skip
    guest = hurried()
    assert guest.fetch(site.url("/old")).url == site.url("/new")
    for path, reason in {
        "/file": "no web address", "/loop": "circles", "/in": "robots.txt", "/else": "private network",
    }.items():  # fmt: skip
        with pytest.raises(Skipped, match=reason):
            guest.fetch(site.url(path))
    assert "/private" not in site.asked
