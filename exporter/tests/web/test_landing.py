"""The page at `/`."""

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser

import pytest

from gputally.web.landing import CONTENT_SECURITY_POLICY, Landing, render
from tests.web.harness import Running, ask

PAGE = render(Landing("gputally node", "1.2.3", "2 GPUs, 413 W"), "/metrics", (True, "ready")).decode()


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def test_the_page_says_what_it_is_and_where_the_figures_are() -> None:
    reader = Reader(PAGE)
    assert not reader.open
    words = " ".join(reader.text.split())
    assert words == (
        "gputally node gputally node 1.2.3 2 GPUs, 413 W /metrics what Prometheus reads "
        "/-/ready is there a sample to read? /-/healthy does the process live?"
    )
    links = [value for tag, name, value in reader.attributes if (tag, name) == ("a", "href")]
    assert links == ["/metrics", "/-/ready", "/-/healthy"]
    assert ("html", "lang", "en") in reader.attributes


def test_the_page_loads_nothing() -> None:
    reader = Reader(PAGE)
    assert not re.search(r"https?:|//|@import|url\(|<script|\bon\w+=", PAGE)
    assert {name for _tag, name, _value in reader.attributes} <= {
        "href",
        "lang",
        "charset",
        "name",
        "content",
        "class",
    }


def test_the_policy_allows_this_style_and_nothing_else() -> None:
    style = re.search(r"<style>(.*?)</style>", PAGE, re.DOTALL)
    assert style
    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")


def test_text_from_elsewhere_is_escaped() -> None:
    page = render(Landing("<b>", "&", '"><script>x</script>'), "/metrics", (True, "")).decode()
    assert "<script>" not in page
    assert "<b>" not in page


def test_an_agent_that_is_not_ready_says_so_instead_of_figures() -> None:
    page = render(Landing("gputally node", "1", "2 GPUs"), "/metrics", (False, "no driver")).decode()
    assert '<p class="bad">Not ready: no driver</p>' in page
    assert "2 GPUs" not in page


@pytest.mark.parametrize("line", ["2 GPUs, 413 W", "none"])
def test_the_page_is_served_live_with_its_policy(serve: "type[Running]", line: str) -> None:
    running = serve()
    running.agent.page = Landing("gputally site", "9", line)
    answer = ask(running.address, "/")
    assert answer.code == 200
    assert line.encode() in answer.body
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
