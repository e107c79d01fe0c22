"""Rows of CSV with a header: which columns there are, and where each row begins."""

import csv
from collections.abc import Iterator, Mapping

from gputally.site.ledger.fields import Rejected
from gputally.site.ledger.reading import Source

MOST_COLUMNS = 2000


def known_as(name: str) -> str:
    """A column's name without what differs between exporters: letters alone, all of them small."""
    return name.strip().replace("_", "").replace(" ", "").lower()


class Table:
    """A CSV file. `columns` leads from the name, as `known_as` has it, to the place."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._first = source.first()
        self._reader = csv.reader(source.lines(), strict=True, delimiter=_delimiter(self._first))
        self.names = self._next() or []
        if not any(self.names):
            raise source.bad("expected a header with the names of columns, found an empty line", 1)
        if len(self.names) > MOST_COLUMNS:
            raise source.bad(f"a header of more than {MOST_COLUMNS} columns", 1)
        self.columns: Mapping[str, int] = {known_as(name): at for at, name in enumerate(self.names)}
        if len(self.columns) < len(self.names):
            twice = next(n for at, n in enumerate(self.names) if self.columns[known_as(n)] != at)
            raise source.bad(f"the column {twice or '(without a name)'} is there twice", 1)

    def rows(self) -> Iterator[tuple[int, list[str] | Rejected]]:
        """Each row with the line that it begins in; Rejected where it has too few or too many fields."""
        expected = len(self.names)
        line = self._reader.line_num + 1
        while (fields := self._next()) is not None:
            if len(fields) == expected:
                yield line, fields
            elif fields:
                yield line, Rejected(f"expected {expected} fields, found {len(fields)}")
            line = self._reader.line_num + 1

    def _next(self) -> list[str] | None:
        try:
            return next(self._reader, None)
        except csv.Error as error:
            begun = self._reader.line_num
            if "unexpected end" in str(error):
                raise self._source.bad("the file ends inside of quotes: is it whole?", begun) from None
            raise self._source.bad(f"not CSV: {error}", begun) from None


def _delimiter(header: str) -> str:
    """Comma, or what a spreadsheet of another country writes instead."""
    return max(",;\t", key=header.count)
