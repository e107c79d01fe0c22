"""What accounts are made of: money that was charged elsewhere, as it is kept."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Charge:
    """What one day of a bill has cost, for one kind of GPU and one team. Negative where money came back."""

    day: date  # of UTC
    provider: str
    account: str  # billing account; "" for rows that have none
    gpu_type: str  # card of the card catalogue where it is known, else as the bill has it; OTHER for no GPU
    team: str
    currency: str
    amount: Decimal  # exact
    gpu_hours: Decimal | None  # None: the bill does not tell


OTHER = "other"  # `gpu_type` of what is no GPU: disks, traffic, tax
