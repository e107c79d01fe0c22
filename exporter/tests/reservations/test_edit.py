"""A change of the file changes what is meant and not a byte beside, in whichever layout it is written."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.config.reservations import parse_reservations
from gputally.config.strict import ConfigError
from gputally.site.reservations import changes
from gputally.site.reservations.changes import RefusedError
from tests.reservations.booking import FULL, HOUR_NS, T0_NS, at, file, row

ROW = {
    "id": "new",
    "team": "vision",
    "users": ["alice", "123"],
    "host": "gpu09",
    "gpus": ["0", "3"],
    "start": at(1),
    "end": at(2),
    "note": 'he said: "yes" # {really}',
}
BLOCK = f"""\
- id: new
  team: vision
  users: [alice, 123]
  host: gpu09
  gpus: [0, 3]
  start: {at(1)}
  end: {at(2)}
  note: "he said: \\"yes\\" # {{really}}\"
"""
FLOW = "{" + ", ".join(line[2:] for line in BLOCK.splitlines()) + "}"
ONE = row("a", 0, 4)
BLOCK_ONE = f"- id: a\n  team: vision\n  host: gpu01\n  gpus: [0]\n  start: {at(0)}\n  end: {at(4)}\n"
DEEP = "".join(f"      {line[2:]}\n" for line in BLOCK_ONE.splitlines())
LISTED = f"reservations:\n{ONE}\n"
LAYOUTS = {
    "one in one line": (LISTED, LISTED + BLOCK),
    "a blank line behind": (LISTED + "\n", LISTED + BLOCK + "\n"),
    "text behind": (LISTED + "# the end\n", LISTED + BLOCK + "# the end\n"),
    "a comment in the last line": (
        f"reservations:\n{ONE}  # mine\n\n# x\n",
        f"reservations:\n{ONE}  # mine\n{BLOCK}\n# x\n",
    ),
    "no newline at the end": (LISTED[:-1], LISTED + BLOCK[:-1]),
    "a block behind": (
        f"reservations:\n{ONE}\npolicy: {{}}\n",
        f"reservations:\n{ONE}\n{BLOCK}policy: {{}}\n",
    ),
    "many lines": (f"reservations:\n{BLOCK_ONE}", f"reservations:\n{BLOCK_ONE}{BLOCK}"),
    "no booking yet": ("reservations: []\n", f"reservations:\n{BLOCK}"),
    "no booking yet, and a comment": ("reservations: []  # none\n", f"reservations: [{FLOW}]  # none\n"),
    "no list": ("policy: {}\n", f"policy: {{}}\nreservations:\n{BLOCK}"),
    "no list, no newline": ("policy: {}", f"policy: {{}}\nreservations:\n{BLOCK}"),
    "nothing": ("# empty\n{}\n", f"# empty\nreservations:\n{BLOCK}"),
    "a list in brackets": (f"reservations: [{ONE[2:]}]\n", f"reservations: [{ONE[2:]}, {FLOW}]\n"),
    "a list in brackets over lines": (
        f"reservations: [\n  {ONE[2:]},  # a\n]\n",
        f"reservations: [\n  {ONE[2:]}, {FLOW},  # a\n]\n",
    ),
    "all in braces": ("{reservations: [], policy: {}}\n", f"{{reservations: [{FLOW}], policy: {{}}}}\n"),
    "all in braces, no list": ("{policy: {}}\n", f"{{policy: {{}}, reservations: [{FLOW}]}}\n"),
    "a document begins and ends": (
        f"---\nreservations:\n{ONE}\n...\n",
        f"---\nreservations:\n{ONE}\n{BLOCK}...\n",
    ),
    "letters of other scripts": (
        f"# Büro 机\nreservations:\n{ONE} # ü\n",
        f"# Büro 机\nreservations:\n{ONE} # ü\n{BLOCK}",
    ),
    "a note as a block of text": (
        f"reservations:\n{BLOCK_ONE}  note: |\n    two\n    lines\n\n# end\n",
        f"reservations:\n{BLOCK_ONE}  note: |\n    two\n    lines\n{BLOCK}\n# end\n",
    ),
}


@pytest.mark.fault("bookings-layout")
@pytest.mark.parametrize(("before", "after"), LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_booking_is_put_behind_the_others_in_every_layout(before, after, newline, mark):
    if newline == "\r\n" and "\n" not in before:
        newline = "\n"
    data = mark + before.replace("\n", newline).encode()
    made = changes.add(data, "r.yml", ROW, T0_NS)
    assert made.data.decode() == (mark + after.replace("\n", newline).encode()).decode()
    assert made.reservation.id == "new"
    assert made.reservation.note == ROW["note"]


def test_lines_are_indented_as_the_others_are():
    lines = BLOCK_ONE.replace("\n", "\n    ").rstrip(" ")
    made = changes.add(f"reservations:\n    {lines}policy: {{}}\n".encode(), "r.yml", ROW, T0_NS)
    new = BLOCK.replace("\n", "\n    ").rstrip(" ")
    assert made.data.decode() == f"reservations:\n    {lines}    {new}policy: {{}}\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (at(4), "2026-11-20T13:00:00Z"),
        (f'"{at(4)}"', '"2026-11-20T13:00:00Z"'),
        ("'2026-11-20 13:00+01:00'", "'2026-11-20T14:00:00+01:00'"),
        ("2026-11-20T07:30-04:30", "2026-11-20T08:30:00-04:30"),
    ],
)
def test_a_later_end_is_written_in_the_form_and_offset_of_the_old_one(old, new):
    text = BLOCK_ONE.replace(f"end: {at(4)}", f"end:   {old}   # at last") + "# end\n"
    made = changes.extend(f"reservations:\n{text}".encode(), "r.yml", "a", lambda end: end + HOUR_NS, T0_NS)
    assert made.data.decode() == f"reservations:\n{text.replace(old, new)}"
    assert made.reservation.end_ns == T0_NS + 5 * HOUR_NS


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"reservations:\n{BLOCK_ONE}# end", f"reservations:\n{BLOCK_ONE}  cancelled: {at(1)}\n# end"),
        (file(ONE), file(ONE[:-1] + f", cancelled: {at(1)}}}")),
        (file(ONE[:-1] + ",\n   }"), file(ONE[:-1] + f", cancelled: {at(1)},\n   }}")),
        (f"reservations:\n-\n{DEEP}", f"reservations:\n-\n{DEEP}      cancelled: {at(1)}\n"),
    ],
)
def test_a_booking_is_given_back_from_now_on(before, after):
    made = changes.cancel(before.encode(), "r.yml", "a", T0_NS + HOUR_NS + 999)
    assert made.data.decode() == after
    assert made.reservation.until_ns == T0_NS + HOUR_NS
    with pytest.raises(RefusedError, match="a is cancelled already"):
        changes.cancel(made.data, "r.yml", "a", T0_NS + HOUR_NS)


REFUSED = {
    "in the past": (
        lambda: changes.add(b"{}", "r.yml", ROW, T0_NS + 3 * HOUR_NS),
        "new would begin in the past, at 2026-11-20T09:00:00Z",
    ),
    "too far ahead": (
        lambda: changes.add(b"policy: {horizon: 30m}", "r.yml", ROW, T0_NS),
        "new would begin more than 30m ahead, the policy's horizon",
    ),
    "taken": (
        lambda: changes.add(file(row("a", 0, 4, "[3]", host="gpu09")).encode(), "r.yml", ROW, T0_NS),
        "new and a (line 2) both want GPU 3 of gpu09 from 2026-11-20T09:00:00Z to 2026-11-20T10:00:00Z",
    ),
    "nobody's": (
        lambda: changes.cancel(FULL.encode(), "r.yml", "nix", T0_NS),
        "no reservation is called nix in r.yml",
    ),
    "extended into another": (
        lambda: changes.extend(
            file(row("a", 0, 1), row("b", 1, 2)).encode(), "r.yml", "a", lambda e: e + HOUR_NS, 0
        ),
        "b (line 3) and a (line 2) both want GPU 0 of gpu01",
    ),
    "extended to before": (
        lambda: changes.extend(file(ONE).encode(), "r.yml", "a", lambda e: e - HOUR_NS, 0),
        "a ends at 2026-11-20T12:00:00Z already; to end it earlier, cancel it",
    ),
    "extended when it was over": (
        lambda: changes.extend(file(ONE).encode(), "r.yml", "a", lambda e: e + HOUR_NS, T0_NS + 4 * HOUR_NS),
        "a is completed: make a new reservation",
    ),
    "cancelled when it was over": (
        lambda: changes.cancel(file(ONE).encode(), "r.yml", "a", T0_NS + 4 * HOUR_NS),
        "a is completed already",
    ),
    "a tab before a value": (
        lambda: changes.cancel(
            f"reservations:\n{BLOCK_ONE.replace('host: ', f'host: {chr(9)}')}".encode(), "r.yml", "a", T0_NS
        ),
        "r.yml:4 has to be changed by hand: found character '\\t' that cannot start any token",
    ),
    "an end as a block of text": (
        lambda: changes.extend(
            f"reservations:\n{BLOCK_ONE.replace(f'end: {at(4)}', f'end: >-{chr(10)}    {at(4)}')}".encode(),
            "r.yml",
            "a",
            lambda e: e + HOUR_NS,
            T0_NS,
        ),
        "r.yml has to be changed by hand: end of a is a block of text",
    ),
}


@pytest.mark.parametrize(("act", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(act, message):
    with pytest.raises(RefusedError) as caught:
        act()
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_booking_that_breaks_a_rule_of_the_file_is_refused_as_the_reader_does():
    with pytest.raises(ConfigError, match="gpu09 is not in the inventory"):
        changes.add(b"inventory: {gpu01: 1}\n", "r.yml", ROW, T0_NS)
    with pytest.raises(ConfigError, match="new is there twice"):
        changes.add(file(row("new", 5, 6)).encode(), "r.yml", ROW, T0_NS)


@st.composite
def laid_out(draw):
    """A file of a few bookings, each in a layout of its own, with comments and blank lines between them."""
    dice = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311 - layouts
    indent = " " * dice.choice([0, 2, 5])
    lines = [
        "# top",
        *(["policy: {max_duration: 30d}"] if dice.random() < 0.5 else []),
        "reservations:   # all",
    ]
    for number in range(dice.randint(1, 4)):
        pairs = [
            f"id: r{number}",
            "team: vision",
            "host: gpu01",
            "gpus: [0]",
            f"start: {at(number)}",
            dice.choice(
                [f"end: {at(number + 1)}", f"end:   '{at(number + 1)}'", f'"end": "{at(number + 1)}"']
            ),
            dice.choice(["note: plain text", 'note: "a: b # c"', "note: it''s", "users: [ bob , 'eve' ]"]),
        ]
        dice.shuffle(pairs)
        if dice.random() < 0.3:
            gap = dice.choice([", ", f",  # hm\n{indent}     "])
            lines.append(f"{indent}- {{{gap.join(pairs)}}}")
        else:
            lines += [
                f"{indent}{'  ' if at_ else '- '}{pair}" + dice.choice(["", "  # why"])
                for at_, pair in enumerate(pairs)
            ]
        lines += dice.choice([[], [""], [f"{indent}# between", ""], ["   "]])
    lines += dice.choice([[], ["inventory: {gpu01: 2}"], ["# end"]])
    text = dice.choice(["\n", "\r\n"]).join(lines)
    return text + dice.choice(["", "\n"]) if "\r" not in text else text


@pytest.mark.fault("bookings-layout")
@settings(max_examples=400, deadline=None)
@given(laid_out(), st.integers(0, 3))
def test_whatever_the_layout_all_else_stays_byte_for_byte(text, which):
    data = text.encode()
    before = parse_reservations(data, "r.yml")
    row_ = {key: value for key, value in ROW.items() if key != "users"} | {"host": "gpu01", "gpus": ["1"]}
    added = changes.add(data, "r.yml", row_, T0_NS)
    assert added.book.reservations[:-1] == before.reservations
    assert is_grown(data, added.data)
    one = before.reservations[which % len(before.reservations)]
    cancelled = changes.cancel(data, "r.yml", one.id, one.start_ns)
    assert is_grown(data, cancelled.data)
    last = before.reservations[-1]
    later = changes.extend(data, "r.yml", last.id, lambda end: end + HOUR_NS, last.start_ns)
    assert len(later.data) == len(data)
    differ = [n for n, (old, new) in enumerate(zip(data, later.data, strict=True)) if old != new]
    assert differ[-1] - differ[0] < len(at(0))
    for made in (added, cancelled, later):
        assert parse_reservations(made.data, "r.yml") == made.book


def is_grown(before: bytes, after: bytes) -> bool:
    """Whether one piece was put in, and nothing else happened."""
    head = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before))
    tail = len(before) - head
    return len(after) > len(before) and (tail == 0 or after.endswith(before[head:]))
