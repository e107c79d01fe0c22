"""`gputally plan` as a person types it: what is needed, what it would cost, what is assumed."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from gputally.cli import main
from gputally.cli.plan import COLUMNS
from tests.cli.command import gputally
from tests.cli.marketdocument import DOCUMENT
from tests.cli.saying import Say, assert_refused, rows
from tests.report.answering import Answer, speaking

EIGHT = ("--gpus=8", "--card=h100-sxm5-80gb", "--hours=48")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "offers.json"
    path.write_bytes(DOCUMENT)
    return path


@pytest.fixture
def say(file: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Plan with the file, in this process: how it ended and what it wrote."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["plan", f"--from-file={file}", *arguments])
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run


def rented(say: Say, *arguments: str) -> list[tuple[str, str, int, float]]:
    return [
        (row["provider"], row["card"], int(row["gpus"]), float(row["usd"]))
        for row in rows(say, *arguments)
        if row["kind"] == "rent"
    ]


def test_gpus_of_a_card_are_priced_at_every_provider_and_beside_ones_own(say: Say) -> None:
    assert rented(say, *EIGHT) == [
        ("akash", "h100-sxm5-80gb", 8, 595.2),
        ("vast", "h100-sxm5-80gb", 8, 718.08),
        ("runpod", "h100-sxm5-80gb", 8, 1032.96),
    ]
    own = rows(say, *EIGHT)[-1]
    assert (own["kind"], own["card"], own["gpus"]) == ("own", "h100-sxm5-80gb", "8")
    assert (own["usd"], own["fixed_usd"]) == ("361.344000", "361.344000")
    status, out, err = say(*EIGHT, "--idle-watts=70", "--active-watts=600", "--utilization=0.9")
    assert (status, err) == (0, "")
    # (0.941 + 0.07 x 0.3 + 0.9 x 0.53 x 0.3) x 8 x 48
    assert next(line for line in out.splitlines() if line.startswith("own")).split()[:7] == [
        *("own", "own", "h100-sxm5-80gb", "8", "1.1051", "48.00", "424.36")
    ]
    assert (
        "own: 70 W idle and 600 W at work as given, not measured here; 0.2 USD per kWh now, PUE 1.5." in out
    )
    assert "369.41 USD is paid in that time, used or not, 54.95 USD for its use" in out


def test_speed_and_memory_choose_cards_and_nothing_is_planned_that_is_not_there(say: Say) -> None:
    speed = ("--tflops=2000", "--vram=48", "--hours=10")
    assert rented(say, *speed) == [
        ("akash", "h100-sxm5-80gb", 6, 93.0),
        ("runpod", "l40s-48gb", 14, 110.6),
        ("vast", "h100-sxm5-80gb", 8, 149.6),
        ("runpod", "h100-sxm5-80gb", 6, 161.4),
    ]
    _, out, _ = say(*speed)
    assert out.startswith("plan: 2,000 TFLOPS for 10 hours, 48 GiB a GPU at least\n")
    assert "MFU 40 %, the default (--mfu): so much of the peak is reached" in out
    assert "Nobody knows how fast these are, so they are left out: h100-nvl-94gb." in out
    _, out, _ = say("--tflops=2000", "--hours=10", "--mfu=0.5")
    assert "MFU 50 %, as given" in out
    assert "Not enough: vast has 4 of 25 rtx4090-24gb (community)" in out


def test_work_and_a_deadline_say_how_many_and_how_long(say: Say) -> None:
    options = rows(say, "--total-flops=1e21", "--deadline=48h")
    assert [(row["provider"], row["gpus"]) for row in options[:2]] == [("akash", "15"), ("runpod", "40")]
    assert Decimal("46.8") < Decimal(options[0]["hours"]) < 48
    assert (
        say("--total-flops=1e21", "--deadline=2d")[1].splitlines()[3:]
        == (say("--total-flops=1.0E+21", "--deadline=48h")[1].splitlines()[3:])
    )


def test_offers_are_chosen_from_as_by_the_command_offers(say: Say) -> None:
    assert [row[0] for row in rented(say, *EIGHT, "--provider=vast", "--provider=akash")] == ["akash", "vast"]
    assert [row[0] for row in rented(say, *EIGHT, "--region=no")] == ["vast"]
    assert [row[0] for row in rented(say, *EIGHT, "--nvlink")] == ["vast"]
    assert [row[0] for row in rented(say, *EIGHT, "--max-usd=800")] == ["akash", "vast"]
    assert "1 option would cost more than 800 USD (--max-usd)." in say(*EIGHT, "--max-usd=800")[1]
    assert [row[0] for row in rented(say, *EIGHT, "--limit=1")] == ["akash"]
    assert "2 options more cost more (--limit)." in say(*EIGHT, "--limit=1")[1]
    spot = ("--gpus=2", "--card=rtx4090", "--hours=1", "--host-tier=community")
    assert [row[3] for row in rented(say, *spot)] == [1.24, 1.38]
    assert [row[3] for row in rented(say, *spot, "--price-tier=spot")] == [0.38]
    status, out, _ = say("--gpus=800", "--card=rtx4090", "--hours=1", "--provider=vast")
    assert (status, out.splitlines()[2]) == (0, "Nothing.")
    assert "Not enough: vast has 4 of 800 rtx4090-24gb (community)." in out


def test_a_table_says_what_is_in_the_cost_and_what_is_not(say: Say) -> None:
    _, out, _ = say(*EIGHT)
    lines = out.splitlines()
    assert lines[0] == "plan: 8 GPUs of h100-sxm5-80gb for 48 hours"
    assert lines[3].split()[:7] == ["1", "akash", "h100-sxm5-80gb", "8", "1.5500", "48.00", "595.20"]
    for note in (
        "One provider, one card and one price tier an option",
        "Prices are ondemand (--price-tier). Not in the cost: disk, traffic, fees and setting up",
        "akash: a price is what was bid in the past, and nothing that can be ordered (bid_stats).",
        "runpod: a recording that is played; these are not today's prices.",
        "own: without energy, as nobody has said what a GPU draws (--idle-watts, --active-watts).",
        "Offers as of 2026-11-30 00:53:20 UTC, from ",
        "G-score: ",
    ):
        assert f"Note: {note}" in out


def test_a_program_gets_the_question_too(say: Say) -> None:
    _, out, err = say("--tflops=2000", "--vram=48", "--hours=10", "--format=json")
    document = json.loads(out, parse_float=Decimal)
    assert (document["report"], err) == ("plan", "")
    assert document["need"] == {"tflops": 2000, "hours": 10, "mfu": Decimal("0.4"), "vram_gib": 48}
    assert list(document["rows"][0]) == [column.name for column in COLUMNS]
    first = document["rows"][0]
    assert (first["kind"], first["gpus"], first["usd"]) == ("rent", 6, 93)
    _, out, err = say(*EIGHT, "--format=csv")
    assert "Note" not in out
    assert "gputally plan: note: One provider" in err
    vast = next(row for row in rows(say, *EIGHT) if row["provider"] == "vast")
    assert (vast["offer_ids"], vast["url"]) == ("4711001", "https://cloud.vast.ai/?offer=4711001")


REFUSED = {
    "nothing": ([], "expected --tflops and --hours; or --gpus, --card and --hours; or --total-flops and"),
    "speed without hours": (["--tflops=1"], "found --tflops"),
    "speed and number": (
        ["--tflops=1", "--gpus=1", "--card=h100", "--hours=1"],
        "found --tflops, --gpus, --hours",
    ),
    "number without a card": (["--gpus=1", "--hours=1"], "found --gpus, --hours"),
    "work and hours": (["--total-flops=1e20", "--hours=1"], "found --total-flops, --hours"),
    "work and speed": (
        ["--total-flops=1e20", "--deadline=1h", "--tflops=1"],
        "found --tflops, --total-flops",
    ),
    "two times": (["--tflops=1", "--hours=1", "--deadline=1h"], "found --tflops, --hours, --deadline"),
    "only a card": (["--card=h100"], "found --card"),
    "part of the peak": ([*EIGHT, "--mfu=0.3"], "--mfu beside --gpus and --card, which say it all"),
    "memory": ([*EIGHT, "--vram=24"], "--vram beside --gpus and --card, which say it all"),
    "no GPU": (["--gpus=0", "--card=h100", "--hours=1"], "0 is not in the range"),
    "half a GPU": (["--gpus=0.5", "--card=h100", "--hours=1"], "'0.5' is not a valid integer range"),
    "no time": (["--tflops=1", "--hours=0"], "0 is not between 0.001 and"),
    "all of the peak and more": (["--tflops=1", "--hours=1", "--mfu=1.1"], "1.1 is not between 0.001 and 1"),
    "a word": (["--tflops=many", "--hours=1"], "'many': expected a number"),
    "a length": (["--total-flops=1e20", "--deadline=48"], "expected a duration such as"),
    "watts": ([*EIGHT, "--idle-watts=70"], "expected both --idle-watts and --active-watts"),
    "watts turned": ([*EIGHT, "--idle-watts=70", "--active-watts=60"], "the latter not less"),
    "a card": (["--gpus=1", "--card=h1000", "--hours=1"], "no card of the catalogue"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_contradicts_itself_is_one_line_and_status_2(say: Say, name: str) -> None:
    assert_refused(say, *REFUSED[name])


def test_the_program_itself_asks_the_site_agent(tmp_path: Path) -> None:
    with speaking(lambda _seen: Answer(body=DOCUMENT)) as site:
        answer = gputally("plan", *EIGHT, f"--site.url={site.url}", folder=tmp_path)
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith("plan: 8 GPUs of h100-sxm5-80gb for 48 hours\n")
    assert list(tmp_path.iterdir()) == []
