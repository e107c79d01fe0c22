"""What a real sacct wrote, and the terms on which it is read."""

from pathlib import Path
from zoneinfo import ZoneInfo

from gputally.site.ledger.jobsacct import Terms

RECORDED = Path(__file__).with_name("recorded")
BERLIN = ZoneInfo("Europe/Berlin")
SEEN_S = 1_795_933_770
LATEST_S = SEEN_S + 86_400
TERMS = Terms(SEEN_S, LATEST_S, BERLIN)
