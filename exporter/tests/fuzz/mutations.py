"""Inputs that are nearly good: a few places of a good one are others. Always the same for the same name."""

import random
import re
from collections.abc import Iterator, Sequence

_WORD = re.compile(rb"[A-Za-z0-9_.+-]+")
ODD = (
    *(
        b"",
        b"0",
        b"-1",
        b"1e400",
        b"1e-400",
        b"nan",
        b"Infinity",
        b"-0.0",
        b"9" * 30,
        b"9" * 400,
        b"1_000",
        "\u0663".encode(),
    ),
    *(
        b"\0",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        "\u202e".encode(),
        b"\x1b[2J",
        b'"',
        b"'",
        b"\\",
        b"\r\n",
        b"\n",
        b"\t",
    ),
    *(
        b"null",
        b"true",
        b"[]",
        b"{}",
        b"[" * 50,
        b"{" * 50,
        b"!!str ",
        b"&a ",
        b"*a",
        b"#",
        b": ",
        b"- ",
        b"x" * 300,
    ),
    *(b"4294967295", b"18446744073709551616", b"9999-12-31T23:59:59Z", b"0001-01-01", b"2026-02-30", b"%"),
)


def words_of(seeds: Sequence[bytes]) -> list[bytes]:
    """All words in them."""
    return sorted({word for seed in seeds for word in _WORD.findall(seed)})


def mutations(name: str, seeds: Sequence[bytes], count: int) -> Iterator[bytes]:
    """So many spoiled ones."""
    dice = random.Random(name)  # noqa: S311 - no secret
    words = words_of(seeds)
    for _ in range(count):
        data = dice.choice(seeds)
        for _ in range(dice.choice((1, 1, 2, 4))):
            data = _spoiled(dice, data, seeds, words)
        yield data


def _spoiled(dice: random.Random, data: bytes, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    start = dice.randint(0, len(data))
    end = min(len(data), start + dice.choice((0, 1, 1, 4, 16, 64)))
    other = dice.choice(seeds)
    found = list(_WORD.finditer(data))
    if found and dice.random() < 0.4:
        start, end = dice.choice(found).span()
        return data[:start] + dice.choice((dice.choice(ODD), dice.choice(words))) + data[end:]
    return (
        data[:start]
        + dice.choice(
            (
                bytes([dice.randrange(256)]) + data[end:],
                data[end:],
                data[start:end] + data[start:],  # a piece twice
                other[dice.randint(0, len(other)) :],
                dice.choice(ODD) + data[end:],
            )
        )
    )
