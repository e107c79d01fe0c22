"""Writes the dashboards: `python -m grafana.build`. With `--check` it says whether they are up to date."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from grafana.bills import bills
from grafana.budgets import budgets
from grafana.cost import cost
from grafana.fleet import fleet
from grafana.health import health
from grafana.jobsboard import jobs_board
from grafana.live import live
from grafana.market import market
from grafana.onejob import one_jobs_page
from grafana.queries import Json
from grafana.rentorown import rent_or_own
from grafana.reservations import reservations
from grafana.teams import teams_board

FOLDER = Path(__file__).parent / "dashboards"
PAGES: tuple[Callable[[], Json], ...] = (
    fleet,
    live,
    cost,
    teams_board,
    jobs_board,
    one_jobs_page,
    health,
    market,
    rent_or_own,
    reservations,
    bills,
    budgets,
)


def rendered() -> dict[Path, str]:
    """File -> its text, of every dashboard. A page's file is named after its uid."""
    pages = [build() for build in PAGES]
    return {
        FOLDER / f"{body['uid']}.json": json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for body in pages
    }


def stale(folder: Path = FOLDER) -> list[str]:
    """Names of files that differ from what would be written, are missing, or belong to no page."""
    wanted = {path.name: text for path, text in rendered().items()}
    found = {path.name: path.read_text() for path in folder.glob("*.json")}
    return sorted(name for name in wanted | found if wanted.get(name) != found.get(name))


def main() -> int:
    """Exit status 1 when `--check` finds a difference."""
    arguments = argparse.ArgumentParser(description="Writes grafana/dashboards/ from grafana/*.py.")
    arguments.add_argument(
        "--check", action="store_true", help="write nothing; fail if a file is out of date"
    )
    if arguments.parse_args().check:
        if names := stale():
            print(
                f"grafana/dashboards: out of date: {', '.join(names)}; run `make dashboards`", file=sys.stderr
            )
            return 1
        return 0
    FOLDER.mkdir(exist_ok=True)
    for path, text in rendered().items():
        path.write_text(text)
        print(path.relative_to(FOLDER.parents[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
