"""The file of reservations: what it can say, and what is refused in one line with both ids and lines."""

from decimal import Decimal

import pytest

from gputally.config.reservations import ConflictError, parse_reservations, read_reservations
from gputally.config.settings import NodeSettings, SiteSettings, read_file
from gputally.config.strict import ConfigError
from gputally.model.reservation import Policy
from tests.reservations.booking import FULL, HOUR_NS, NS, T0_NS, at, book, file, row

DAY_NS = 24 * HOUR_NS
TWO = "inventory: {gpu01: 2, gpu02: [GPU-a, GPU-b]}"


def test_all_that_a_booking_can_say():
    found = book()
    rush, sweep, by_uuid = found.reservations
    assert (rush.id, rush.team, rush.users, rush.host) == ("cvpr-rush", "vision", ("alice", "bob"), "gpu01")
    assert (rush.gpus, rush.count, rush.note) == (("0", "1"), 2, "camera-ready")
    assert (rush.start_ns, rush.end_ns) == (T0_NS, T0_NS + 57 * HOUR_NS)
    assert (rush.price_per_gpu_hour, rush.currency) == (Decimal("1.20"), "EUR")
    assert (sweep.gpus, sweep.count, sweep.price_per_gpu_hour) == ((), 2, Decimal("0.5"))
    assert by_uuid.gpus == ("GPU-b",)
    assert by_uuid.start_ns == T0_NS + 7 * HOUR_NS  # 10:00 at UTC-5
    assert by_uuid.until_ns == by_uuid.cancelled_ns == T0_NS + 8 * HOUR_NS
    assert found.policy == Policy(HOUR_NS // 2, 14 * DAY_NS, 60 * DAY_NS, 6)
    assert found.inventory == {"gpu01": ("0", "1", "2", "3"), "gpu02": ("GPU-a", "GPU-b")}
    assert found.lines == {"cvpr-rush": 4, "sweep": 13, "by-uuid": 15}


def test_an_empty_list_and_no_list_are_no_bookings():
    assert book("reservations: []\n").reservations == book("{}").reservations == ()


def test_a_booking_without_a_price_is_not_charged():
    (one,) = book(file(row("a", 0, 1))).reservations
    assert (one.price_per_gpu_hour, one.currency) == (None, "")


@pytest.mark.parametrize(
    ("hours", "cancelled", "state"),
    [
        (-1, None, "pending"),
        (0, None, "active"),
        (2, None, "completed"),
        (1.5, None, "active"),
        (0.5, 1, "active"),
        (1, 1, "cancelled"),
        (5, 1, "cancelled"),
        (-3, -2, "pending"),
        (-1, -2, "cancelled"),
    ],
)
def test_a_state_begins_at_its_instant(hours, cancelled, state):
    more = {} if cancelled is None else {"cancelled": f"'{at(cancelled)}'"}
    (one,) = book(file(row("a", 0, 2, **more))).reservations
    now_ns = T0_NS + round(hours * HOUR_NS)
    assert one.state(now_ns) == state
    if now_ns in (one.start_ns, one.end_ns, one.cancelled_ns):
        assert one.state(now_ns - 1) != state


REFUSED = {
    "a time without offset": (
        file("- {id: a, team: t, host: h, gpus: [0], start: 2026-11-20T09:00:00, end: 2026-11-20T10:00Z}"),
        "r.yml:2:47 reservations[0].start: without an offset from UTC it is another time on every clock:",
    ),
    "a day": (
        file("- {id: a, team: t, host: h, gpus: [0], start: 2026-11-20, end: 2026-11-20T10:00Z}"),
        "r.yml:2:47 reservations[0].start: expected a time such as 2026-11-20T09:00:00+01:00",
    ),
    "a day that is none": (
        file("- {id: a, team: t, host: h, gpus: [0], start: 2026-02-30T09:00Z, end: 2026-11-20T10:00Z}"),
        "r.yml:2:47 reservations[0].start: no such time; expected a time such as 2026-11-20T09:00:00+01:00",
    ),
    "an end before its start": (file(row("a", 2, 1)), "end: it must come after start"),
    "nothing between start and end": (file(row("a", 1, 1)), "end: it must come after start"),
    "two of one name": (
        file(row("a", 0, 1), row("a", 2, 3)),
        "r.yml:3:8 reservations[1].id: a is there twice, first at line 2",
    ),
    "no end": (file("- {id: a, team: t, host: h, gpus: [0], start: 2026-11-20T10:00Z}"), "missing key end"),
    "no team": (file("- {id: a, host: h, gpus: [0]}"), "r.yml:2:3 reservations[0]: missing key team"),
    "no GPUs": (
        file("- {id: a, team: t, host: h, start: 2026-11-20T10:00Z, end: 2026-11-20T11:00Z}"),
        "expected either gpus or count",
    ),
    "both kinds of GPUs": (
        file(row("a", 0, 1, count=1), rest=TWO),
        "r.yml:2:3 reservations[0]: expected either gpus or count",
    ),
    "an empty list of GPUs": (file(row("a", 0, 1, "[]")), "expected 1 to 64 GPUs, found 0"),
    "a GPU twice": (file(row("a", 0, 1, "[0, 0]")), "reservations[0].gpus: a GPU is there twice"),
    "a GPU by both names": (
        file(row("a", 0, 1, "[1, GPU-b]", host="gpu02"), rest=TWO),
        "reservations[0].gpus: a GPU is there twice",
    ),
    "names of both kinds, unknown which": (
        file(row("a", 0, 1, "[1, GPU-b]")),
        "indexes and UUIDs beside each other: only an inventory tells which are the same",
    ),
    "an index with a nought before it": (file(row("a", 0, 1, "[00]")), 'found "00"'),
    "a host that is not in the inventory": (
        file(row("a", 0, 1, host="gpu03"), rest=TWO),
        "reservations[0].host: gpu03 is not in the inventory",
    ),
    "an index that the host has not": (
        file(row("a", 0, 1, "[0, 2]"), rest=TWO),
        "reservations[0].gpus[1]: gpu01 has no GPU 2 by the inventory, which has 2",
    ),
    "a UUID that the host has not": (
        file(row("a", 0, 1, "[GPU-c]", host="gpu02"), rest=TWO),
        "reservations[0].gpus[0]: gpu02 has no GPU GPU-c by the inventory, which has 2",
    ),
    "more GPUs than the host has": (
        file(row("a", 0, 1, "3"), rest=TWO),
        'reservations[0].count: expected a whole number from 1 to 2, found "3"',
    ),
    "a number of GPUs of a host of which nothing is known": (
        file(row("a", 0, 1, "1")),
        "reservations[0].count: how many GPUs gpu01 has, only an inventory tells; or name them by gpus",
    ),
    "too short": (
        file(row("a", 0, 1), rest="policy: {min_duration: 2h}"),
        "reservations[0].end: 1h is shorter than 2h, the policy's",
    ),
    "too long": (
        file(row("a", 0, 3), rest="policy: {max_duration: 2h}"),
        "reservations[0].end: 3h is longer than 2h, the policy's",
    ),
    "limits that exclude each other": (
        "policy: {min_duration: 2h, max_duration: 1h}",
        "r.yml:1:24 policy.min_duration: longer than max_duration, 1h",
    ),
    "a price without a currency": (
        "price: {per_gpu_hour: 1}",
        "r.yml:1:8 price: expected per_gpu_hour and currency",
    ),
    "a price of its own without a currency": (
        file(row("a", 0, 1, price_per_gpu_hour=1)),
        "price_per_gpu_hour: in which currency? The file has no block price",
    ),
    "a price that is no number": (
        "price: {per_gpu_hour: cheap, currency: EUR}",
        'price.per_gpu_hour: expected a decimal number from 0 to 1000000, found "cheap"',
    ),
    "cancelled after it was over": (
        file(row("a", 0, 1, cancelled="2026-12-01T00:00:00Z")),
        "cancelled: it was over by then: expected a time before end",
    ),
    "an unknown key": (file(row("a", 0, 1, gpu=1)), "reservations[0].gpu: unknown key, did you mean gpus?"),
    "an unknown block": ("reservation: []", "reservation: unknown key, did you mean reservations?"),
    "a user with a blank": (
        file(row("a", 0, 1, users='["a b"]')),
        "reservations[0].users[0]: expected a user's name",
    ),
    "a team with a brace": (file(row("a", 0, 1, team='"a{b"')), "reservations[0].team: expected a name"),
    "UUIDs that are indexes": ("inventory: {gpu01: [0, 1]}", "expected UUIDs in the order of their indexes"),
    "a UUID twice": ("inventory: {gpu01: [GPU-a, GPU-a]}", "expected 1 to 64 UUIDs, each once"),
    "more GPUs than a team may hold": (
        file(row("a", 0, 3, "[0, 1]"), row("b", 2, 4, "[2]"), rest="policy: {max_gpus_per_team: 2}"),
        "r.yml:3:1 reservations: with b, team vision holds 3 GPUs from 2026-11-20T10:00:00Z on, at most 2",
    ),
}


@pytest.mark.fault("bookings-bad")
@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_right_is_refused_in_one_line(text, message):
    with pytest.raises(ConfigError) as caught:
        book(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("r.yml:")


def both(second: str, first: str, what: str, start: float, end: float) -> str:
    """What is said of two bookings."""
    return f"{second} and {first} both want {what} from {at(start)} to {at(end)}"


CONFLICTS = {
    "the same index": (
        file(row("a", 0, 2), row("b", 1, 3)),
        [both("b (line 3)", "a (line 2)", "GPU 0 of gpu01", 1, 2)],
    ),
    "the same GPU by index and UUID": (
        file(row("a", 0, 2, "[1]", host="gpu02"), row("b", 1, 3, "[GPU-b]", host="gpu02"), rest=TWO),
        [both("b (line 3)", "a (line 2)", "GPU 1 of gpu02", 1, 2)],
    ),
    "what may be the same GPU": (
        file(row("a", 0, 2, "[1]"), row("b", 1, 3, "[GPU-b]")),
        [
            both(
                "b (line 3)",
                "a (line 2)",
                "what may be one GPU of gpu01, 1 and GPU-b (an inventory of UUIDs would tell)",
                1,
                2,
            )
        ],
    ),
    "one inside the other": (
        file(row("a", 0, 9), row("b", 4, 5)),
        [both("b (line 3)", "a (line 2)", "GPU 0 of gpu01", 4, 5)],
    ),
    "a long one before a short one": (
        file(row("a", 0, 9), row("b", 1, 2, "[1]"), row("c", 5, 6)),
        [both("c (line 4)", "a (line 2)", "GPU 0 of gpu01", 5, 6)],
    ),
    "numbers of GPUs": (
        file(row("a", 0, 2, "1"), row("b", 1, 3, "2"), rest=TWO),
        [both("b (line 3)", "a (line 2)", "3 GPUs together of gpu01, which has 2,", 1, 2)],
    ),
    "a number beside names": (
        file(row("a", 0, 2, "[0, 1]"), row("b", 1, 3, "1"), rest=TWO),
        [both("b (line 3)", "a (line 2)", "3 GPUs together of gpu01, which has 2,", 1, 2)],
    ),
    "two pairs": (
        file(row("a", 0, 2), row("b", 1, 3), row("c", 2.5, 4)),
        [
            both("b (line 3)", "a (line 2)", "GPU 0 of gpu01", 1, 2),
            both("c (line 4)", "b (line 3)", "GPU 0 of gpu01", 2.5, 3),
        ],
    ),
}


@pytest.mark.fault("bookings-clash")
@pytest.mark.parametrize(("text", "lines"), CONFLICTS.values(), ids=CONFLICTS)
def test_bookings_that_meet_are_refused_with_both_ids_and_lines(text, lines):
    with pytest.raises(ConflictError) as caught:
        book(text)
    assert list(caught.value.lines) == lines
    more = f"; and {len(lines) - 1} more" if len(lines) > 1 else ""
    line = 4 if lines[0].startswith("c") else 3
    assert str(caught.value) == f"r.yml:{line}:1 reservations: {lines[0]}{more}"


@pytest.mark.parametrize(
    "rows",
    [
        (row("a", 0, 1), row("b", 1, 2)),  # half-open
        (row("a", 1, 2), row("b", 0, 1)),
        (row("a", 0, 2), row("b", 0, 2, "[1]")),
        (row("a", 0, 2), row("b", 0, 2, host="gpu02")),
        (row("a", 0, 4, cancelled="'2026-11-20T09:00:00Z'"), row("b", 1, 2)),
        (row("a", 1, 4, cancelled="'2026-11-20T08:00:00Z'"), row("b", 1, 2)),
        (row("a", 0, 2, "1"), row("b", 0, 2, "1"), row("c", 2, 3, "2")),
    ],
)
def test_bookings_that_do_not_meet_are_taken(rows):
    assert len(book(file(*rows, rest=TWO)).reservations) == len(rows)


@pytest.mark.fault("bookings-clocks")
def test_offsets_are_compared_as_instants():
    """10:30 at UTC+2 is before 09:00 at UTC."""
    berlin = (
        "- {id: a, team: t, host: h, gpus: [0], start: 2026-07-01T09:00+02:00, end: 2026-07-01T10:30+02:00}"
    )
    utc = "- {id: b, team: t, host: h, gpus: [0], start: 2026-07-01T08:30Z, end: 2026-07-01T10:00Z}"
    assert len(book(file(berlin, utc)).reservations) == 2
    with pytest.raises(ConflictError):
        book(file(berlin, utc.replace("08:30Z", "08:29:59Z")))


@pytest.mark.fault("bookings-clocks")
def test_the_night_in_which_the_clocks_are_set_back_is_an_hour_longer():
    times = "start: 2026-10-25T02:30:00+02:00, end: 2026-10-25T02:30:00+01:00"
    text = f"- {{id: a, team: t, host: h, gpus: [0], {times}}}"
    (one,) = book(file(text)).reservations
    assert one.end_ns - one.start_ns == HOUR_NS


def test_a_file_has_a_thousand_bookings_and_no_more():
    rows = [
        f"- {{id: r{n}, team: t, host: h, gpus: [0], start: {at(n)}, end: {at(n + 1)}}}" for n in range(1001)
    ]
    assert len(book(file(*rows[:1000])).reservations) == 1000
    with pytest.raises(ConfigError, match="expected at most 1000, found 1001"):
        book(file(*rows))


def test_both_agents_read_the_block_and_the_site_alone_the_file(tmp_path):
    config = tmp_path / "gputally.yml"
    config.write_text("reservations: {file: there/r.yml}\n")
    assert "reservations" not in read_file(config, agent=NodeSettings)
    with pytest.raises(ConfigError, match=r"there/r\.yml: cannot be read"):
        read_file(config, agent=SiteSettings)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "r.yml").write_text(FULL)
    told = read_file(config, agent=SiteSettings)["reservations"]
    assert told.book == book()
    assert told.file == tmp_path / "there" / "r.yml"
    assert read_reservations(told.file) == book()


@pytest.mark.parametrize(
    "text", ["reservations: {}", "reservations: {file: a, policy: {}}", "reservations: []"]
)
def test_a_block_that_is_not_right_is_refused_by_both(tmp_path, text):
    config = tmp_path / "gputally.yml"
    config.write_text(text)
    for agent in (NodeSettings, SiteSettings):
        with pytest.raises(ConfigError, match=r"gputally\.yml:1"):
            read_file(config, agent=agent)


def test_seconds_are_whole():
    with pytest.raises(ConfigError, match="expected a time"):
        parse_reservations(file(row("a", 0, 1)).replace("09:00:00Z", "09:00:00.5Z").encode(), "r.yml")
    assert T0_NS % NS == 0
