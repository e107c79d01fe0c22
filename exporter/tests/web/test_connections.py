"""Who must go when somebody new comes, decided on real sockets without a server."""

import asyncio
import socket
from collections.abc import Callable, Iterator

import pytest
from tornado.iostream import IOStream

from gputally.web.connections import GRACE_S, Connection, ConnectionTable, Phase, client_key
from gputally.web.limits import Limits


class Door:
    """A table of connections whose clients and clock a test holds in its hands."""

    def __init__(self, limits: Limits) -> None:
        self.now = 100.0
        self.table = ConnectionTable(limits, lambda: self.now)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.clients: list[socket.socket] = []
        self.arrived: list[Connection] = []

    def arrive(self, phase: Phase = Phase.STARTING, address: str = "a", sends: bytes = b"") -> Connection:
        client = socket.create_connection(self._listener.getsockname())
        self.clients.append(client)
        accepted, _where = self._listener.accept()
        if sends:
            client.sendall(sends)
            accepted.recv(1, socket.MSG_PEEK)  # it has arrived
        connection = Connection(IOStream(accepted), address, self.now, None)
        connection.phase = phase
        self.table.add(connection)
        self.arrived.append(connection)
        self.now += 0.001
        return connection

    def close(self) -> None:
        for connection in self.arrived:
            connection.close()
        for sock in (*self.clients, self._listener):
            sock.close()


@pytest.fixture
def door() -> Iterator[Callable[..., Door]]:
    """Make tables, with an event loop for their streams."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    doors: list[Door] = []

    def make(connections: int = 4, per_address: int = 3) -> Door:
        doors.append(Door(Limits(connections=connections, connections_per_address=per_address)))
        return doors[-1]

    yield make
    for each in doors:
        each.close()
    asyncio.set_event_loop(None)
    loop.close()


def evicted(*connections: Connection) -> list[int]:
    return [index for index, connection in enumerate(connections) if connection.stream.closed()]


def test_nobody_goes_while_there_is_room(door: Callable[..., Door]) -> None:
    here = door()
    here.arrive()
    assert here.table.make_room("a") is None
    assert len(here.table) == 1


def test_an_address_with_too_many_connections_loses_one_of_its_own(door: Callable[..., Door]) -> None:
    here = door(connections=100)
    stranger = here.arrive(address="b")
    own = [here.arrive() for _ in range(3)]
    assert here.table.make_room("a") == "address_limit"
    assert evicted(stranger, *own) == [1]
    assert here.table.make_room("a") is None


def test_at_the_limit_of_all_the_oldest_goes_whoever_it_is(door: Callable[..., Door]) -> None:
    here = door(connections=3)
    guests = [here.arrive(address=name) for name in "abc"]
    assert here.table.make_room("d") == "connection_limit"
    assert evicted(*guests) == [0]


def test_a_silent_client_goes_before_one_that_has_sent_something(door: Callable[..., Door]) -> None:
    """So a handshake under way outlives a flood of empty connections."""
    here = door()
    speaking = here.arrive(sends=b"\x16\x03\x01")
    silent = [here.arrive(), here.arrive()]
    here.table.make_room("a")
    assert evicted(speaking, *silent) == [1]


def test_a_client_that_never_comes_to_the_point_goes_first(door: Callable[..., Door]) -> None:
    here = door()
    dripping = here.arrive(sends=b"GET /met")
    here.now += GRACE_S
    idle, fresh = here.arrive(Phase.IDLE), here.arrive()
    here.table.make_room("a")
    assert evicted(dripping, idle, fresh) == [0]


def test_an_idle_connection_goes_before_a_fresh_one(door: Callable[..., Door]) -> None:
    """Its client opens another one; the fresh one may be the first scrape of all."""
    here = door()
    fresh, idle, other = here.arrive(), here.arrive(Phase.IDLE), here.arrive(Phase.IDLE)
    here.table.make_room("a")
    assert evicted(fresh, idle, other) == [1]


@pytest.mark.fault("connections-held")
def test_a_scrape_in_progress_goes_last(door: Callable[..., Door]) -> None:
    here = door()
    answering, fresh, other = (
        here.arrive(Phase.ANSWERING),
        here.arrive(sends=b"x"),
        here.arrive(Phase.ANSWERING),
    )
    here.table.make_room("a")
    assert evicted(answering, fresh, other) == [1]
    here.arrive(Phase.ANSWERING)
    here.table.make_room("a")
    assert answering.stream.closed()


def test_a_connection_is_forgotten_once(door: Callable[..., Door]) -> None:
    here = door()
    first, second = here.arrive(), here.arrive()
    for _ in range(2):
        here.table.remove(first)
    assert list(here.table) == [second]
    here.table.evict_one()
    here.table.evict_one()
    assert len(here.table) == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_who_counts_as_one_client(one: str, other: str, same: bool) -> None:
    assert (client_key(one) == client_key(other)) is same


def test_of_equals_the_client_with_the_most_connections_loses(door: Callable[..., Door]) -> None:
    """A scraper's handshake outlives a crowd's, though it began earlier: the crowd is from few addresses."""
    here = door(connections=4, per_address=4)
    scraper = here.arrive(address="scraper", sends=b"\x16\x03\x01")
    crowd = [here.arrive(address="crowd", sends=b"\x16\x03\x01") for _ in range(3)]
    here.table.make_room("crowd 2")
    assert evicted(scraper, *crowd) == [1]


def test_a_scraper_that_keeps_its_connection_outlives_a_crowd_that_does_the_same(
    door: Callable[..., Door],
) -> None:
    here = door(connections=6, per_address=5)
    scraper = here.arrive(Phase.IDLE, address="scraper")
    fresh = here.arrive(address="stranger")
    crowd = [here.arrive(Phase.IDLE, address="crowd") for _ in range(4)]
    here.table.make_room("another")
    assert evicted(scraper, fresh, *crowd) == [2]


def test_answers_that_a_crowd_leaves_unread_go_before_a_scraper_that_comes(door: Callable[..., Door]) -> None:
    """Else such a crowd fills the table for as long as it may, and whoever comes is sent away by the next."""
    here = door(connections=4, per_address=4)
    unread = [here.arrive(Phase.ANSWERING, address="crowd") for _ in range(3)]
    here.now += GRACE_S
    scraper = here.arrive(address="scraper", sends=b"\x16\x03\x01")
    here.table.make_room("another")
    assert evicted(scraper, *unread) == [1]


def test_an_answer_to_who_has_no_more_than_a_fair_part_goes_last_however_long_it_takes(
    door: Callable[..., Door],
) -> None:
    """A slow line is no attack."""
    here = door(connections=4, per_address=4)
    slow = here.arrive(Phase.ANSWERING, address="slow line")
    here.now += 5 * GRACE_S
    fresh = [here.arrive(address=name, sends=b"G") for name in "abc"]
    here.table.make_room("d")
    assert evicted(slow, *fresh) == [1]


def test_the_only_connection_of_a_scraper_outlives_handshakes_that_stall(door: Callable[..., Door]) -> None:
    here = door(connections=4, per_address=4)
    scraper = here.arrive(Phase.IDLE, address="scraper")
    crowd = [here.arrive(address="crowd", sends=b"\x16\x03\x01") for _ in range(3)]
    here.table.make_room("another")
    assert evicted(scraper, *crowd) == [1]
