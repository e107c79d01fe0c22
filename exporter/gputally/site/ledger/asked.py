"""What an import was asked for, and what became of it."""

from dataclasses import dataclass, field
from pathlib import Path

from gputally.site.ledger.focus import Knowledge, Wanted
from gputally.site.ledger.posting import Posted
from gputally.site.ledger.reading import BadFile, Progress
from gputally.site.ledger.staging import StagedBill
from gputally.site.ledger.tally import Tally


@dataclass(frozen=True, slots=True)
class Ask:
    """How files are to be read, and what is done about doubts."""

    knowledge: Knowledge
    wanted: Wanted
    now_ns: int  # Unix time
    currency: str = "USD"  # of plain rows that name none
    partial: bool = False  # take a bill without the rows of it that cannot be taken
    again: bool = False  # take a file that was replaced since
    shorter: bool = False  # take a bill that ends before what the ledger has of it
    progress: Progress = int


@dataclass(slots=True)
class Imported:
    """What became of one file, or of the parts of one."""

    files: tuple[str, ...]
    kind: str = ""
    form: str = ""  # as a sentence has it: FOCUS 1.4, CSV, JSON
    sha256: str = ""
    tally: Tally = field(default_factory=Tally)
    bills: list[StagedBill] = field(default_factory=list)
    posted: list[Posted] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: str = ""  # why nothing of it was taken

    @property
    def name(self) -> str:
        """What the ledger calls it: without folders."""
        first, more = Path(self.files[0]).name, len(self.files) - 1
        return f"{first} and {more} more" if more else first


class RowsRejected(BadFile):
    """A bill with rows that cannot be taken: the rest would replace more than it has."""

    def __init__(self, one: Imported) -> None:
        self.tally = one.tally
        super().__init__(
            one.files[0],
            f"{self.tally.rejections} of {self.tally.rows} rows cannot be taken, so nothing of it is: "
            "a bill is imported whole (--partial takes the others)",
        )
