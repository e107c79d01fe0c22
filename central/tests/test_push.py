"""What a node pushes arrives: through an outage of the store, a restart of vmagent, a wrong token."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from central.tests.conftest import Centre
from central.tests.page import Page
from central.tests.programs import Pusher, wait_for

OUTAGE_S = 6.0  # twelve scrapes at two in a second


@pytest.fixture
def page(request: pytest.FixtureRequest) -> Iterator[Page]:
    with Page(request.node.name).running() as running:
        yield running


@pytest.fixture
def pushing(centre: Centre, page: Page, tmp_path: Path) -> Iterator[Pusher]:
    """A node whose token stands in a file of its own."""
    (tmp_path / "token").write_text(centre.front.token("node:gpu-node-1"))
    pusher = Pusher(tmp_path / "node", centre.front, tmp_path / "token", page.target)
    pusher.start()
    yield pusher
    pusher.program.stop()


def arrived(centre: Centre, page: Page) -> bool:
    """Whether everything that was scraped is in the store, once."""
    return sorted(centre.store.values(page.series)) == list(range(1, page.served + 1))


def settle(centre: Centre, page: Page) -> None:
    """Scrape no more, and wait for what is under way."""
    page.paused = True
    wait_for("everything has arrived", lambda: arrived(centre, page))


@pytest.mark.fault("store-outage")
def test_an_outage_of_the_store_and_a_restart_in_it_lose_no_sample(centre, page, pushing):
    """Several minutes at 15 s are twelve scrapes and more; here they take six seconds."""
    wait_for("first samples", lambda: page.served >= 4)
    centre.store.program.stop()
    before = page.served
    time.sleep(OUTAGE_S / 2)
    page.paused = True  # or a scrape that is cut off would count as one that was served
    time.sleep(0.6)
    pushing.program.stop()  # as a machine does that is rebooted meanwhile
    assert any((pushing.folder / "buffer").rglob("*")), "nothing on disk"
    pushing.start()
    page.paused = False
    time.sleep(OUTAGE_S / 2)
    assert page.served >= before + 10
    assert pushing.retries() > 0
    centre.store.start()
    settle(centre, page)
    assert pushing.dropped() == 0
    (series,) = centre.store.query(f"last_over_time({page.series}[5m])")
    assert series["metric"]["instance"] == "gpu-node-1"
    assert series["metric"]["cluster"] == "north"  # and not what the sender said


@pytest.mark.fault("token-wrong")
@pytest.mark.usefixtures("pushing")
def test_a_wrong_token_is_refused_and_counted_and_costs_no_sample(centre, page, tmp_path):
    reason = 'vmauth_http_request_errors_total{reason="invalid_auth_token"}'
    before = centre.front.count(reason)
    (tmp_path / "token").write_text("not-a-token")
    wait_for("it is counted", lambda: centre.front.count(reason) > before)
    wait_for("some scrapes", lambda: page.served >= 4)
    (tmp_path / "token").write_text(centre.front.token("node:gpu-node-1"))
    settle(centre, page)
