"""`gputally offers` as a person types it: sources, filters, orders, forms, and one line for an error."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import trustme

from gputally.cli import OFFERS_VARIABLES, main
from gputally.cli.offers import COLUMNS, offers
from gputally.model.market import Market
from gputally.site.market.listing import Listing, write_listing
from tests.cli.command import gputally
from tests.cli.marketdocument import DOCUMENT, LISTING
from tests.cli.saying import Say, assert_refused, rows
from tests.report.answering import Answer, Seen, speaking, wanting
from tests.site.market.marketplace import H100, NOW


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "offers.json"
    path.write_bytes(DOCUMENT)
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command in this process: how it ended and what it wrote."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run


@pytest.fixture
def say(run: Say, file: Path) -> Say:
    """Offers of the file."""
    return lambda *arguments: run("offers", f"--from-file={file}", *arguments)


@pytest.fixture
def today() -> str:
    """A day that a price row may be of."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def prices(say: Say, *arguments: str) -> list[float]:
    return [float(row["usd_per_gpu_hour"]) for row in rows(say, *arguments)]


def test_a_table_has_the_cheapest_first_with_ids_links_and_all_that_must_be_known(say: Say) -> None:
    status, out, err = say()
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "offers: 8 of 9, by price"
    assert lines[2].split() == [
        *("CARD", "PROVIDER", "USD/GPU-H", "USD/TFLOP-H", "G-SCORE", "PRICE", "HOST", "REGION", "NODE"),
        *("FREE", "RELIABLE", "BASIS", "OFFER", "LINK"),
    ]
    assert lines[3].split()[:3] == ["rtx4090-24gb", "vast", "0.1900"]
    assert "https://cloud.vast.ai/?offer=4711001" in out
    for note in (
        "Offers as of 2026-11-30 00:53:20 UTC, from ",
        "vast shows a part of what it has.",
        "runpod: a recording that is played; these are not today's prices.",
        "akash: 2 rows of cards that the catalogue does not know: p4, rtx8000ada.",
        "ionet is not among them: the last good reply is of 2026-11-29 22:53:20 UTC.",
        "Sold out and not among these: 1 (--sold-out).",
        "akash: a price is what was bid in the past, and nothing that can be ordered (bid_stats).",
        "G-score: 50 % price beside the cheapest of the same card, price and host tier, 30 % published",
    ):
        assert f"Note: {note}" in out


def test_every_form_has_the_same_rows(say: Say) -> None:
    listed = rows(say, "--sold-out")
    status, out, _ = say("--sold-out", "--format=json")
    document = json.loads(out, parse_float=Decimal)
    assert (status, document["row_count"], document["as_of"]) == (0, 9, "2026-11-30 00:53:20 UTC")
    assert list(listed[0]) == list(document["rows"][0]) == [column.name for column in COLUMNS]
    for one, other in zip(listed, document["rows"], strict=True):
        for name, value in one.items():
            said = other[name]
            assert value == ("" if said is None else value if isinstance(said, int | Decimal) else said)
            if isinstance(said, int | Decimal):
                assert Decimal(value) == said
    h100 = next(row for row in document["rows"] if row["offer_id"] == "4711001")
    assert h100["usd_per_gpu_hour"] == Decimal("1.87")
    assert h100["usd_per_tflop_hour"] == Decimal("0.001890799")
    assert h100["gscore_parts"] == "price reliability availability"
    assert (h100["nvlink"], h100["memory_gib"], h100["basis"]) == ("yes", 80, "instance")
    assert document["notes"][0].startswith("Offers as of")


@pytest.mark.fault("offers-unanswered")
def test_no_name_of_anybody_drives_a_terminal(run: Say, tmp_path: Path) -> None:
    document = json.loads(DOCUMENT)
    document["providers"][2]["unmapped"] = ["a\x1b[2J", "b\nc"]
    document["providers"][0]["offers"][0]["region"] = "x\x1b]0;y\x07" * 9
    document["providers"][0]["offers"][0]["url"] = "https://example.com/\x1b[2J"
    (tmp_path / "hostile.json").write_text(json.dumps(document))
    for form in ("table", "csv"):
        _, out, err = run("offers", f"--from-file={tmp_path / 'hostile.json'}", f"--format={form}")
        assert "\x1b" not in (out if form == "table" else "") + err
        assert "a?[2J, b?c" in (out if form == "table" else err)


def test_notes_beside_csv_go_to_standard_error(say: Say) -> None:
    _, out, err = say("--format=csv")
    assert "Note" not in out
    assert "gputally offers: note: vast shows a part of what it has." in err.splitlines()


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--card=h100-sxm5-80gb"], [1.55, 1.87, 2.69]),
        (["--gpu=H100"], [1.55, 1.87, 1.9, 2.69]),
        (["--card", "NVIDIA H100 80GB HBM3"], [1.55, 1.87, 2.69]),
        (["--card=RTX 4090", "--card=l40s"], [0.19, 0.31, 0.69, 0.79]),
        (["--memory=80"], [1.55, 1.87, 1.9, 2.69]),
        (["--memory=80.1"], [1.9]),
        (["--provider=vast", "--provider=akash"], [0.19, 0.31, 1.55, 1.87, 1.9]),
        (["--region=NO"], [1.87]),
        (["--region=czechia"], [0.31]),
        (["--price-tier=spot"], [0.19]),
        (["--host-tier=community", "--max-usd=0.5"], [0.19, 0.31]),
        (["--min-available=8"], [1.55, 1.87]),
        (["--nvlink"], [1.87]),
        (["--provider=runpod", "--sold-out"], [0.79, 1.39, 2.69]),
        (["--card=a100"], []),
    ],
)
def test_offers_are_filtered(say: Say, arguments: list[str], found: list[float]) -> None:
    assert prices(say, *arguments) == found


def test_offers_are_sorted_and_turned_page_by_page(say: Say) -> None:
    assert prices(say, "--sort=price") == sorted(prices(say))
    assert [row["available_gpus"] for row in rows(say, "--sort=available")][:3] == ["21", "8", "4"]
    tflop = [row["usd_per_tflop_hour"] for row in rows(say, "--sort=tflop")]
    assert tflop[-1] == ""
    assert tflop[:-1] == sorted(tflop[:-1])
    scores = [row["gscore"] for row in rows(say, "--sort=gscore")]
    assert scores == sorted(scores, reverse=True)
    assert prices(say, "--limit=3", "--page=2") == prices(say)[3:6]
    assert "Page 2 of 3, 8 rows in all; --page 3 shows more." in say("--limit=3", "--page=2")[1]
    status, _, err = say("--limit=3", "--page=4")
    assert (status, err) == (2, "gputally: error: --page 4: there are 3, of 8 rows\n")


def test_nothing_found_is_an_answer(say: Say) -> None:
    status, out, _ = say("--max-usd=0.01")
    assert (status, out.splitlines()[2]) == (0, "Nothing.")


REFUSED = {
    "a card": (["--card=h1000"], "--card 'h1000': no card of the catalogue, did you mean h100-80gb"),
    "a card of two sizes": (["--card=A100 SXM4 60GB"], "no card of the catalogue"),
    "a provider": (["--provider=vastai"], "--provider vastai: none of vast, runpod, akash, render, ionet"),
    "a tier": (["--price-tier=gift"], "'gift' is not one of 'ondemand', 'spot', 'reserved'"),
    "a price": (["--max-usd=cheap"], "'cheap': expected a number"),
    "not a number": (["--max-usd=nan"], "'nan': expected a number"),
    "less than nothing": (["--memory=-1"], "-1 is not between 0 and 1000000"),
    "an order": (["--sort=beauty"], "'beauty' is not one of"),
    "two sources": (["--ask"], "either --from-file or --ask"),
    "an argument": (["h100"], "Got unexpected extra argument (h100)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_flag_is_one_line_and_status_2(say: Say, name: str) -> None:
    assert_refused(say, *REFUSED[name])


FILES = {
    "not there": (None, "No such file or directory"),
    "empty": (b"", "expected the JSON that /offers gives"),
    "HTML": (b"<html>", "expected the JSON that /offers gives"),
    "deep": (b"[" * 100_000, "expected the JSON that /offers gives"),
    "not a number": (b'{"at": NaN}', "expected the JSON that /offers gives"),
    "something else": (b'{"rows": []}', "expected a document of the format gputally-offers/1"),
    "half of it": (DOCUMENT[: len(DOCUMENT) // 2], "expected the JSON that /offers gives"),
    "no text": (b"\xff\xfe\x00", "expected the JSON that /offers gives"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_none_is_one_line_and_status_2(run: Say, tmp_path: Path, name: str) -> None:
    data, words = FILES[name]
    file = tmp_path / "bad.json"
    if data is not None:
        file.write_bytes(data)
    status, out, err = run("offers", f"--from-file={file}")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"--from-file {file}: " in err
    assert words in err


def document(_seen: Seen) -> Answer:
    return Answer(body=DOCUMENT, headers={"Content-Type": "application/json"})


def test_the_site_agent_is_asked_and_the_variable_says_where(
    run: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    with speaking(document) as site:
        monkeypatch.setenv("GPUTALLY_SITE_URL", f"{site.url}/")
        status, out, _ = run("offers", "--card=h100-sxm5-80gb")
        assert status == 0
        assert f"from {site.url}." in out
        assert [seen.path for seen in site.seen] == ["/offers"]


def test_a_password_goes_along_and_a_wrong_one_is_said(run: Say, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    secret = f"--site.password-file={tmp_path / 'password'}"
    refused = wanting("ada", "s3cret")
    with speaking(lambda seen: refused(seen) or document(seen)) as site:
        where = f"--site.url={site.url}"
        assert run("offers", where, "--site.user=ada", secret)[0] == 0
        for flags in ([], ["--site.user=bob", secret]):
            status, out, err = run("offers", where, *flags)
            assert (status, out, err.count("\n")) == (1, "", 1)
            assert "user and password are missing or wrong (--site.user, --site.password-file)" in err
    assert "a password without a user" in run("offers", secret)[2]


def said(status: int, body: bytes) -> Callable[[Seen], Answer]:
    return lambda _seen: Answer(status, body)


SITES = {
    "no such path": (said(404, b"Not Found\n"), "this is not a site agent that knows of offers (--site.url)"),
    "HTML": (said(200, b"<html>"), "this is not a site agent (--site.url)"),
    "other JSON": (said(200, b"{}"), "expected a document of the format gputally-offers/1 (--site.url)"),
    "too many": (said(429, b""), "429 Too Many Requests (--site.url)"),
    "no providers": (
        said(200, write_listing(Listing(NOW, Market()))),
        "this site agent asks no provider: its market.providers are empty",
    ),
}


@pytest.mark.fault("offers-unanswered")
@pytest.mark.parametrize("name", SITES)
def test_a_site_that_gives_no_offers_is_one_line_and_status_1(run: Say, name: str) -> None:
    answer, words = SITES[name]
    with speaking(answer) as site:
        status, out, err = run("offers", f"--site.url={site.url}")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert words in err
    assert site.url.removeprefix("http://") in err


@pytest.mark.fault("offers-unanswered")
def test_a_site_that_is_down_is_one_line_and_status_1(run: Say) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    status, out, err = run("offers", f"--site.url=http://127.0.0.1:{port}")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert f"127.0.0.1:{port}/offers: Connection refused: is the site agent running? (--site.url)" in err


def test_tls_is_checked_against_the_certificates_that_are_given(run: Say, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with speaking(document, context) as site:
        assert run("offers", f"--site.url={site.url}", f"--site.ca-file={tmp_path / 'ca.pem'}")[0] == 0
        status, out, err = run("offers", f"--site.url={site.url}")
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert re.search(r"/offers: TLS: .*certificate.* \(--site.ca-file\)$", err.strip())
        missing = run("offers", f"--site.url={site.url}", f"--site.ca-file={tmp_path / 'none.pem'}")
        assert missing[0] == 2
        assert "--site.ca-file" in missing[2]


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:9837", "ftp://a", "http://", "http://a b", "http://u:p@a", "http://a?x", "http://[", "é"],
)
def test_an_address_that_is_none_is_refused(run: Say, url: str) -> None:
    status, _, err = run("offers", f"--site.url={url}")
    assert (status, err.count("\n")) == (2, 1)
    assert "--site.url: " in err


CONFIG = """
market:
  rates: {{EUR: 1.16}}
  providers:
    lambda: {{base_url: "{url}", recording: true}}
    static:
      rows:
        - {{provider: render, card: rtx4090-24gb, usd_per_gpu_hour: 0.69, host_tier: community,
            source_url: "https://example.com/prices", as_of: {day}}}
"""
LAMBDA = {
    "gpu_8x_h100_sxm5": {
        "instance_type": {
            "name": "gpu_8x_h100_sxm5",
            "description": "8x H100 (80 GB SXM5)",
            "gpu_description": "H100 (80 GB SXM5)",
            "price_cents_per_hour": 2392,
            "specs": {"vcpus": 208, "memory_gib": 1800, "storage_gib": 22528, "gpus": 8},
        },
        "regions_with_capacity_available": [{"name": "us-west-1", "description": "California, USA"}],
    }
}


def test_the_providers_of_the_configuration_are_asked_without_any_agent(
    run: Say, tmp_path: Path, today: str
) -> None:
    file = tmp_path / "gputally.yml"
    with speaking(lambda _seen: Answer(body=json.dumps({"data": LAMBDA}).encode())) as provider:
        file.write_text(CONFIG.format(url=provider.url, day=today))
        status, out, err = run("offers", "--ask", f"--config.file={file}", "--format=json")
    assert (status, err) == (0, "")
    found = {row["provider"]: row for row in json.loads(out)["rows"]}
    assert found["lambda"]["usd_per_gpu_hour"] == 2.99
    assert (found["lambda"]["card"], found["lambda"]["node_gpus"]) == (H100, 8)
    assert (found["render"]["usd_per_gpu_hour"], found["render"]["basis"]) == (0.69, "list")


def test_whoever_does_not_answer_is_named_and_if_nobody_does_that_is_status_1(
    run: Say, tmp_path: Path, today: str
) -> None:
    file = tmp_path / "gputally.yml"
    with speaking(said(500, b"")) as provider:
        file.write_text(CONFIG.format(url=provider.url, day=today))
        status, out, _ = run("offers", "--ask", f"--config.file={file}")
        assert status == 0
        assert "Note: lambda has not answered: 127.0.0.1" in out
        file.write_text(CONFIG.format(url=provider.url, day=today).partition("    static:")[0])
        status, out, err = run("offers", "--ask", f"--config.file={file}")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "no provider has answered: lambda: 127.0.0.1" in err
    assert "500 Internal Server Error" in err


def test_to_ask_takes_a_configuration_with_somebody_to_ask(run: Say, tmp_path: Path) -> None:
    assert run("offers", "--ask")[::2] == (
        2,
        "gputally: error: --ask: whom? Give --config.file, with market.providers\n",
    )
    file = tmp_path / "gputally.yml"
    file.write_text("{}\n")
    assert "no market.providers: there is nobody to ask" in run("offers", "--ask", f"--config.file={file}")[2]
    file.write_text("market: {providers: {vastly: {}}}\n")
    status, _, err = run("offers", "--ask", f"--config.file={file}")
    assert (status, "gputally.yml:1:" in err, "did you mean vast?" in err) == (2, True, True)


def test_the_program_itself(file: Path, tmp_path: Path) -> None:
    answer = gputally("offers", f"--from-file={file}", "--card=h100", folder=tmp_path)
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith("offers: 4 of 9, by price\n")
    assert {entry.name for entry in tmp_path.iterdir()} == {file.name}


def test_every_variable_is_known_and_no_other() -> None:
    named = {parameter.envvar for parameter in offers.params if parameter.envvar is not None}
    assert named == {*OFFERS_VARIABLES, "GPUTALLY_CONFIG_FILE"}


def test_the_listing_is_what_the_tests_say_it_is() -> None:
    assert json.loads(DOCUMENT)["at"] == LISTING.at_seconds == NOW
