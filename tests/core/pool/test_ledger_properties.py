"""The ledger against a model that is too simple to be wrong: lists that are searched from end to end.

Generated histories are played on both, and after each step both must have given the same connections to
the same requests, closed the same connections, and hold the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from httpcore2_core._http.close_reason import CloseReason
from httpcore2_core._http.lease import Lease
from httpcore2_core._pool.ledger import Ledger
from httpcore2_core._pool.slots import Counts, Grant, Ticket
from httpcore2_core._pool.states import SlotState
from httpcore2_core._pool.statistics import OriginStats

KEYS = st.sampled_from("abc")
SOME = st.integers(1, 4)
SELDOM = st.sampled_from([False, False, False, True])
FOREVER = float("inf")


@dataclass(eq=False)
class Connection:
    number: int
    key: str
    ticket: Request
    state: SlotState = SlotState.DIALING
    capacity: int = 1
    in_use: int = 1
    expires_at: float = FOREVER
    retires_at: float = FOREVER


@dataclass(eq=False)
class Request:
    number: float
    key: str
    may_share: bool
    comes_again: bool = False
    is_ahead: bool = False
    grant: Grant | None = None
    connection: Connection | None = None


@dataclass
class Model:
    """What the ledger should do. `queue` holds requests, and keys on behalf of their shared waiters.

    Those whose origin may take no further slot are in `blocked`, by origin; `origins` has the origin of each key.
    """

    max_connections: float
    max_keepalive: float
    keepalive_expiry: float
    max_per_origin: float
    max_shared: float
    origins: dict[str, str]
    connections: list[Connection] = field(default_factory=list)
    dials: list[Request] = field(default_factory=list)
    waiting: list[Request] = field(default_factory=list)
    queue: list[Request | str] = field(default_factory=list)
    blocked: dict[str, list[Request | str]] = field(
        default_factory=lambda: {origin: [] for origin in "abc"}
    )
    idle: list[Connection] = field(default_factory=list)  # least recently used first
    available: list[Connection] = field(default_factory=list)  # last used last
    awaited: dict[str, Request] = field(
        default_factory=dict
    )  # the dial that shared waiters wait for
    exclusive: set[str] = field(default_factory=set)
    closing: list[Connection] = field(default_factory=list)
    granted: list[Request] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    def all_blocked(self) -> list[Request | str]:
        return [claimant for blocked in self.blocked.values() for claimant in blocked]

    def shared_waiters(self, key: str) -> list[Request]:
        exclusive = self.queue + self.all_blocked()
        return [r for r in self.waiting if r.key == key and r not in exclusive]

    def waiters(self, key: str) -> list[Request]:
        among = self.queue + self.all_blocked()
        exclusive = [r for r in among if isinstance(r, Request) and r.key == key]
        return exclusive + self.shared_waiters(key)

    def used(self) -> int:
        return len(self.connections) + len(self.dials)

    def used_by(self, key: str) -> int:
        keys = [c.key for c in self.connections] + [r.key for r in self.dials]
        return keys.count(key)

    def can_dial(self) -> bool:
        return self.used() < self.max_connections or bool(self.idle)

    def keys_beside(self, key: str) -> list[str]:
        """The keys that share the limit of `key`, itself included."""
        return [other for other in "abc" if self.origins[other] == self.origins[key]]

    def taken_by(self, key: str) -> int:
        """The slots of the key, and its places in the queue."""
        return self.used_by(key) + sum(self.key_of(claimant) == key for claimant in self.queue)

    def has_all_shared(self, key: str) -> bool:
        retired = [c for c in self.connections if c.key == key and c.state is SlotState.RETIRED]
        return self.taken_by(key) - len(retired) >= self.max_shared

    def may_dial(self, key: str, may_share: bool = False) -> bool:
        """Whether the limits permit one slot more than the origin has and waits for in the queue."""
        taken = sum(self.taken_by(other) for other in self.keys_beside(key))
        return taken < self.max_per_origin and not (may_share and self.has_all_shared(key))

    def idle_beside(self, key: str) -> list[Connection]:
        return [connection for connection in self.idle if connection.key in self.keys_beside(key)]

    def make_place(self, key: str, may_share: bool = False) -> bool:
        """Whether the limits permit one slot more, perhaps after an idle connection of the origin was closed."""
        if may_share and self.has_all_shared(key):
            return False
        while not self.may_dial(key) and self.idle_beside(key):
            self.close(self.idle_beside(key)[0])
        return self.may_dial(key)

    def tidy(self) -> None:
        """Forget keys without connections and requests, and places in the queues without waiters.

        Those that wait for a slot of their origin take the places in the queue that the origin may have.
        """
        self.queue = [q for q in self.queue if isinstance(q, Request) or self.shared_waiters(q)]
        for origin, blocked in self.blocked.items():
            left = [q for q in blocked if isinstance(q, Request) or self.shared_waiters(q)]
            self.blocked[origin] = left
            while left and self.may_dial(self.key_of(left[0])):
                claimant = left.pop(0)
                key = self.key_of(claimant)
                if isinstance(claimant, str) and self.has_all_shared(key):
                    continue
                if isinstance(claimant, Request) and any(
                    isinstance(q, Request) and q.key == key for q in self.queue
                ):
                    self.queue.append(claimant)
                else:
                    self.insert(self.queue, claimant)
        for key in "abc":
            outside = key not in self.queue and key not in self.all_blocked()
            if self.shared_waiters(key) and key not in self.awaited and outside:
                self.line_up(key)
        live = {c.key for c in self.connections} | {r.key for r in self.dials + self.waiting}
        self.exclusive &= live

    # What happens

    def checkout(self, key: str, now: float, held: list[Connection]) -> Connection | None:
        """Reserve a connection; of those in use only one of `held`, as nobody has any other."""
        self.expire(now)
        for connection in [c for c in reversed(self.available) if c.key == key]:
            self.available.remove(connection)
            if connection not in self.idle and connection not in held:
                self.close(connection)
                self.serve()
                continue
            if connection in self.idle:
                if connection.expires_at < now:
                    self.close(connection)
                    continue
                self.idle.remove(connection)
            elif connection.retires_at <= now:
                connection.state = SlotState.RETIRED
                self.serve()
                continue
            connection.state = SlotState.BUSY
            connection.in_use += 1
            if connection.in_use < connection.capacity:
                self.available.append(connection)
            return connection
        return None

    def reserve(self, request: Request) -> None:
        key = request.key
        together = request.may_share and key not in self.exclusive
        if together and (key in self.awaited or self.shared_waiters(key)):
            later = [r for r in self.shared_waiters(key) if r.number > request.number]
            place = self.waiting.index(later[0]) if later else len(self.waiting)
            self.waiting.insert(place, request)
            for queue in (self.queue, self.blocked[self.origins[key]]):
                if key in queue and request.comes_again:
                    self.insert(queue, key)
        elif self.can_dial() and self.make_place(key, together):
            self.grant_dial(request, together)
        elif together:
            self.waiting.append(request)
            self.line_up(key)
        else:
            self.wait_alone(request)
            self.waiting.append(request)

    def reserve_ahead(self, request: Request, count: int) -> bool:
        """Grant a dial that nobody waits for, if that is permitted and closes no other connection."""
        key = request.key
        together = request.may_share and key not in self.exclusive
        retired = [c for c in self.connections if c.key == key and c.state is SlotState.RETIRED]
        if (
            self.used_by(key) - len(retired) >= count
            or self.used() >= self.max_connections
            or len(self.idle) >= self.max_keepalive
            or self.keepalive_expiry == 0
            or not self.may_dial(key, together)
        ):
            return False
        self.grant_dial(request, together and key not in self.awaited)
        return True

    def wait_alone(self, request: Request) -> None:
        """Let a request wait for a slot of its own."""
        is_placed = self.make_place(request.key)
        (self.queue if is_placed else self.blocked[self.origins[request.key]]).append(request)

    def line_up(self, key: str) -> None:
        """Let a key wait for a slot on behalf of its shared waiters."""
        if key in self.queue or self.make_place(key, True):
            self.insert(self.queue, key)
        elif not self.has_all_shared(key):
            self.insert(self.blocked[self.origins[key]], key)

    def insert(self, queue: list[Request | str], claimant: Request | str) -> None:
        """Put it in front if it came before all others, else at the end, unless it is there."""
        if queue and self.arrival(claimant) < self.arrival(queue[0]):
            queue[:] = [claimant, *(other for other in queue if other != claimant)]
        elif claimant not in queue:
            queue.append(claimant)

    def drop_from_queues(self, claimant: Request | str) -> None:
        self.queue = [q for q in self.queue if q != claimant]
        for origin, blocked in self.blocked.items():
            self.blocked[origin] = [q for q in blocked if q != claimant]

    def abandon(self, request: Request, now: float) -> None:
        if request.grant is None:
            self.waiting.remove(request)
            self.drop_from_queues(request)
            self.tidy()
        elif request.grant is Grant.DIAL:
            self.dials.remove(request)
            self.end_dial(request)
        elif request.connection in self.connections:
            self.checkin(request.connection, now, request.connection.expires_at)

    def recover(self, held: list[Connection], asking: list[Request]) -> None:
        """Recover everything except what requests in progress and waiting requests hold."""
        for connection in [c for c in self.connections if c.in_use and c not in held]:
            self.close(connection)
            self.dial_is_over(connection.ticket)
        for request in sorted(self.dials + self.waiting, key=lambda request: request.number):
            if request in asking:
                continue
            if request in self.dials:
                self.dials.remove(request)
                self.dial_is_over(request)
            else:
                self.waiting.remove(request)
                self.drop_from_queues(request)
                self.tidy()
        self.serve()

    def add(self, request: Request, connection: Connection) -> None:
        self.dials.remove(request)
        self.connections.append(connection)

    def established(self, connection: Connection, capacity: int, retires_at: float) -> None:
        connection.retires_at = retires_at
        self.counted["opened"] += 1
        connection.state = SlotState.BUSY
        connection.capacity = capacity
        self.exclusive -= {connection.key}
        if capacity == 1:
            self.exclusive |= {connection.key}
        self.admit(connection)
        self.end_dial(connection.ticket)

    def set_capacity(self, connection: Connection, capacity: int, now: float) -> None:
        connection.capacity = capacity
        if connection.state is SlotState.IDLE and capacity == 0:
            self.close(connection)
        elif connection.state is SlotState.BUSY and connection.retires_at <= now:
            self.retire(connection)
        elif connection.state is not SlotState.RETIRED:
            self.admit(connection)

    def checkin(self, connection: Connection, now: float, expires_at: float) -> None:
        connection.in_use -= 1
        connection.expires_at = min(expires_at, now + self.keepalive_expiry, connection.retires_at)
        at_rest = connection.in_use == 0
        if connection.retires_at <= now and not at_rest:
            self.retire(connection)
        if connection.state is SlotState.RETIRED:
            if at_rest:
                self.close(connection)
        elif at_rest and (
            connection.capacity == 0
            or connection.expires_at <= now
            or self.max_keepalive == 0
            or self.is_preceded(connection.key)
        ):
            self.close(connection)
        else:
            self.admit(connection)
            if connection.in_use == 0:
                connection.state = SlotState.IDLE
                self.idle.append(connection)
                if len(self.idle) > self.max_keepalive:
                    self.close(self.idle[0])
        self.serve()

    def retire(self, connection: Connection) -> None:
        if connection.state is SlotState.IDLE:
            self.close(connection)
        else:
            connection.state = SlotState.RETIRED
            self.available = [c for c in self.available if c is not connection]
            self.serve()

    def discard(self, connection: Connection) -> None:
        self.leave(connection)
        self.end_dial(connection.ticket)

    def expire(self, now: float) -> None:
        while self.idle and self.idle[0].expires_at < now:
            self.close(self.idle[0])

    # Why it happens

    def is_preceded(self, key: str) -> bool:
        """Whether a request for another key has waited longer for a slot."""
        if self.max_per_origin == self.max_shared == FOREVER:
            return bool(self.queue) and self.key_of(self.queue[0]) != key
        arrival = min((r.number for r in self.waiters(key)[:1]), default=FOREVER)
        return any(
            self.key_of(queue[0]) != key and self.arrival(queue[0]) < arrival
            for queue in (self.queue, self.blocked[self.origins[key]])
            if queue
        )

    def key_of(self, claimant: Request | str) -> str:
        return claimant if isinstance(claimant, str) else claimant.key

    def arrival(self, claimant: Request | str) -> float:
        first = self.shared_waiters(claimant)[0] if isinstance(claimant, str) else claimant
        return first.number

    def grant_dial(self, request: Request, together: bool) -> None:
        request.grant = Grant.DIAL
        self.dials.append(request)
        if together:
            self.awaited[request.key] = request
        if self.used() > self.max_connections:
            self.close(self.idle[0])

    def end_dial(self, request: Request) -> None:
        self.dial_is_over(request)
        self.serve()

    def dial_is_over(self, request: Request) -> None:
        key = request.key
        if self.awaited.get(key) is request:
            del self.awaited[key]
        self.tidy()
        waiters = self.shared_waiters(key)
        if waiters and key in self.exclusive:
            self.drop_from_queues(key)
            waiting = self.waiting
            self.waiting = [request for request in waiting if request not in waiters]
            self.tidy()
            self.waiting = waiting
            self.exclusive |= {key}
            for waiter in waiters:
                self.wait_alone(waiter)
        elif waiters and key not in self.awaited and key not in self.queue:
            self.line_up(key)

    def serve(self) -> None:
        self.tidy()
        while self.queue and self.can_dial():
            first = self.queue.pop(0)
            request = first if isinstance(first, Request) else self.shared_waiters(first)[0]
            self.waiting.remove(request)
            self.grant_dial(request, together=isinstance(first, str))
            self.granted.append(request)

    def admit(self, connection: Connection) -> None:
        while connection.in_use < connection.capacity and self.waiters(connection.key):
            request = self.waiters(connection.key)[0]
            self.waiting.remove(request)
            self.drop_from_queues(request)
            connection.in_use += 1
            request.grant = Grant.REUSE
            request.connection = connection
            self.granted.append(request)
        self.tidy()
        if connection.in_use >= connection.capacity:
            self.available = [c for c in self.available if c is not connection]
        elif connection not in self.available:
            self.available.append(connection)

    def leave(self, connection: Connection) -> None:
        is_open = connection.state is not SlotState.DIALING
        self.counted["closed" if is_open else "dials failed"] += 1
        self.connections.remove(connection)
        connection.state = SlotState.GONE
        self.idle = [c for c in self.idle if c is not connection]
        self.available = [c for c in self.available if c is not connection]
        self.tidy()

    def close(self, connection: Connection) -> None:
        self.leave(connection)
        self.closing.append(connection)


class Histories(RuleBasedStateMachine):
    """Things happen in bursts, and mostly go well: histories that end too soon show little."""

    @initialize(
        max_connections=st.sampled_from([None, 0, 1, 1, 2, 2, 3, 5]),
        max_keepalive=st.sampled_from([None, None, 1, 2]),
        keepalive_expiry=st.sampled_from([None, 0.0, 5.0]),
        max_per_origin=st.sampled_from([None, None, 1, 2]),
        max_shared=st.sampled_from([None, None, 1, 2]),
        origins=st.sampled_from(["abc", "aac", "aaa"]),
        sharing=st.sampled_from([[False], [True], [True], [False, True]]),
        capacities=st.sampled_from([[1], [2, 3], [1, 2, 3]]),
        ages=st.sampled_from([[FOREVER], [FOREVER], [2.0, 6.0]]),
    )
    def open(
        self,
        max_connections: int | None,
        max_keepalive: int | None,
        keepalive_expiry: float | None,
        max_per_origin: int | None,
        max_shared: int | None,
        origins: str,
        sharing: list[bool],
        capacities: list[int],
        ages: list[float],
    ) -> None:
        origin_of = dict(zip("abc", origins, strict=True))
        self.ledger: Ledger[str, int] = Ledger(
            max_connections,
            max_keepalive,
            keepalive_expiry,
            max_per_origin,
            max_shared,
            origin_of.__getitem__,
        )
        self.model = Model(
            max_connections=FOREVER if max_connections is None else max_connections,
            max_keepalive=FOREVER if max_keepalive is None else max_keepalive,
            keepalive_expiry=FOREVER if keepalive_expiry is None else keepalive_expiry,
            max_per_origin=FOREVER if max_per_origin is None else max_per_origin,
            max_shared=FOREVER if max_shared is None else max_shared,
            origins=origin_of,
        )
        self.sharing = sharing
        self.capacities = capacities
        self.ages = ages
        self.now = 0.0
        self.numbers = 0
        self.tickets: dict[Request, Ticket[str, int]] = {}
        self.leases: dict[Request, Lease[int]] = {}
        # Requests that have not begun to use what they got; connections, once for each request that uses them, and
        # what it holds them by.
        self.undecided: list[Request] = []
        self.in_use: list[tuple[Connection, Lease[int]]] = []
        self.known: list[Connection] = []
        self.woken: set[Request] = set()
        # The latest arrival in the queue up to each request, after the last step.
        self.latest: dict[Request, float] = {}

    def pick(self, data: st.DataObject, among: list[Any]) -> Any:
        return among[data.draw(st.integers(0, len(among) - 1))]

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def may_share(self, data: st.DataObject, key: str) -> bool:
        """Whether a request may share a connection; the same for all of a key, where keys share a limit."""
        if len(set(self.model.origins.values())) < len("abc"):
            return self.sharing["abc".index(key) % len(self.sharing)]
        return data.draw(st.sampled_from(self.sharing))

    def dialing(self) -> list[Connection]:
        return [
            connection
            for connection in self.model.connections
            if connection.state is SlotState.DIALING and connection.ticket in self.leases
        ]

    def established(self) -> list[Connection]:
        return [c for c in self.known if c.state not in (SlotState.DIALING, SlotState.GONE)]

    def lucky(self) -> list[Request]:
        return [r for r in self.undecided if r.grant is not None]

    def use(self, data: st.DataObject, request: Request) -> None:
        if data.draw(SELDOM):
            return  # not yet
        self.undecided.remove(request)
        ticket = self.tickets[request]
        if request.connection is not None:
            assert ticket.lease is not None
            self.in_use.append((request.connection, ticket.lease))
            del self.tickets[request], self.leases[request]
            return
        connection = Connection(self.number(), request.key, request)
        self.model.add(request, connection)
        self.ledger.add(ticket, connection.number)
        self.known.append(connection)
        if data.draw(st.booleans()):
            self.succeed(data, connection)

    def succeed(self, data: st.DataObject, connection: Connection) -> None:
        capacity = data.draw(st.sampled_from(self.capacities))
        retires_at = self.now + data.draw(st.sampled_from(self.ages))
        self.model.established(connection, capacity, retires_at)
        self.ledger.established(connection.number, capacity, retires_at)
        ticket, lease = self.tickets.pop(connection.ticket), self.leases.pop(connection.ticket)
        if connection.ticket.is_ahead:
            if connection.state is not SlotState.GONE:
                self.model.checkin(connection, self.now, FOREVER)
            self.ledger.abandon(ticket, self.now)
            return
        self.in_use.append((connection, lease))

    # Requests

    @rule(data=st.data(), burst=SOME)
    def requests_come(self, data: st.DataObject, burst: int) -> None:
        for _ in range(burst):
            key = data.draw(KEYS)
            lease = self.ledger.checkout(key, self.now)
            expected = self.model.checkout(key, self.now, self.held())
            assert (lease and lease.connection) == (expected and expected.number)
            if expected is not None:
                assert lease is not None
                self.in_use.append((expected, lease))
                continue
            may_share = self.may_share(data, key)
            request = Request(self.number(), key, may_share)
            arrival = None
            if may_share and self.tickets and data.draw(SELDOM):
                # It is repeated, and came first just after another.
                other = self.pick(data, list(self.tickets))
                request = Request(int(other.number) + 0.5, key, True, True)
                arrival = int(self.tickets[other].number)
            self.model.reserve(request)
            self.leases[request] = Lease()
            self.tickets[request] = self.ledger.reserve(
                key, may_share, self.leases[request], arrival
            )
            self.undecided.append(request)
            if request.grant is Grant.DIAL:
                self.use(data, request)

    @rule(data=st.data(), key=KEYS, count=SOME)
    def connections_are_dialled_ahead(self, data: st.DataObject, key: str, count: int) -> None:
        may_share = self.may_share(data, key)
        self.model.recover(self.held(), self.undecided)
        request = Request(self.number(), key, may_share, is_ahead=True)
        is_granted = self.model.reserve_ahead(request, count)
        lease: Lease[int] = Lease()
        ticket = self.ledger.reserve_ahead(key, may_share, lease, count)
        assert (ticket is not None) is is_granted
        if ticket is not None:
            self.leases[request], self.tickets[request] = lease, ticket
            self.undecided.append(request)
            self.use(data, request)

    @precondition(lambda self: self.lucky())
    @rule(data=st.data(), burst=SOME)
    def requests_use_what_they_got(self, data: st.DataObject, burst: int) -> None:
        for request in self.lucky()[-burst:]:
            self.use(data, request)

    @precondition(lambda self: self.in_use)
    @rule(data=st.data(), burst=SOME)
    def requests_end(self, data: st.DataObject, burst: int) -> None:
        for _ in range(min(burst, len(self.in_use))):
            used = self.pick(data, self.in_use)
            self.in_use.remove(used)
            connection, _ = used
            lasts = data.draw(st.sampled_from([None, None, 0.0, 2.0, 50.0]))
            expires_at = None if lasts is None else self.now + lasts
            if connection.state is not SlotState.GONE:
                self.model.checkin(
                    connection, self.now, FOREVER if expires_at is None else expires_at
                )
            self.ledger.checkin(connection.number, self.now, expires_at)

    @precondition(lambda self: self.undecided)
    @rule(data=st.data(), burst=st.integers(1, 2))
    def requests_give_up(self, data: st.DataObject, burst: int) -> None:
        for _ in range(min(burst, len(self.undecided))):
            request = self.pick(data, self.undecided)
            self.undecided.remove(request)
            self.model.abandon(request, self.now)
            self.ledger.abandon(self.tickets[request], self.now)
            del self.leases[request]

    @rule(data=st.data(), burst=st.integers(1, 3))
    def requests_are_lost(self, data: st.DataObject, burst: int) -> None:
        for _ in range(burst):
            self.one_vanishes(data)
        self.model.recover(self.held(), self.undecided)
        self.ledger.recover()

    def held(self) -> list[Connection]:
        """The connections whose leases somebody has."""
        held = [connection for connection, _ in self.in_use] + self.dialing()
        return held + [r.connection for r in self.undecided if r.connection is not None]

    def one_vanishes(self, data: st.DataObject) -> None:
        among = [*self.undecided, *self.dialing(), *self.in_use]
        if not among:
            return
        lost = self.pick(data, among)
        if isinstance(lost, tuple):
            self.in_use.remove(lost)
            return
        if isinstance(lost, Request):
            self.undecided.remove(lost)
        else:
            lost = lost.ticket
        del self.leases[lost], self.tickets[lost]

    # Connections

    @precondition(lambda self: self.dialing())
    @rule(data=st.data(), burst=SOME)
    def dials_succeed(self, data: st.DataObject, burst: int) -> None:
        for connection in self.dialing()[:burst]:
            self.succeed(data, connection)

    @precondition(lambda self: self.established())
    @rule(data=st.data(), capacity=st.integers(0, 4))
    def a_peer_changes_its_limit(self, data: st.DataObject, capacity: int) -> None:
        connection = self.pick(data, self.established())
        self.model.set_capacity(connection, capacity, self.now)
        self.ledger.set_capacity(connection.number, capacity, self.now)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), retires=st.booleans())
    def a_connection_fails(self, data: st.DataObject, retires: bool) -> None:
        connection = self.pick(data, self.known)
        if retires and connection.state is not SlotState.DIALING:
            if connection.state not in (SlotState.GONE, SlotState.RETIRED):
                self.model.retire(connection)
            self.ledger.retire(connection.number)
        else:
            if connection.state is not SlotState.GONE:
                self.model.discard(connection)
            self.ledger.discard(connection.number)

    # Time, and the end

    @rule(seconds=st.sampled_from([0.5, 2.0, 4.0]), expires=st.booleans())
    def time_passes(self, seconds: float, expires: bool) -> None:
        self.now += seconds
        if expires:
            self.model.expire(self.now)
            self.ledger.expire(self.now)

    @rule()
    def the_expired_are_closed(self) -> None:
        expiries = [connection.expires_at for connection in self.model.idle]
        assert self.ledger.first_expiry() == min(expiries, default=FOREVER)
        assert self.ledger.last_expiry() == (expiries[-1] if expiries else FOREVER)
        expired = [c for c in self.model.idle if c.expires_at < self.now]
        for connection in expired:
            self.model.close(connection)
        assert self.ledger.close_expired(self.now) == len(expired)

    @precondition(lambda self: self.numbers > 30)
    @rule()
    def the_pool_is_closed(self) -> None:
        self.ledger.clear()
        connections, tickets = self.ledger.closing[:], self.ledger.granted[:]
        self.ledger.closing.clear()
        self.ledger.granted.clear()
        assert connections == [c.number for c in self.model.connections]
        lost = sorted(self.model.waiting + self.model.dials, key=lambda request: request.number)
        # Those that came first between the same two others may be in either order.
        assert set(tickets) == {self.tickets[request] for request in lost}
        numbers = [ticket.number for ticket in tickets]
        assert numbers == [self.tickets[request].number for request in lost]
        assert all(ticket.grant is Grant.CLEARED for ticket in tickets)
        for request in lost:
            self.ledger.abandon(self.tickets[request], self.now)
            del self.leases[request]
            self.undecided.remove(request)
        for connection in self.model.connections[:]:
            self.model.leave(connection)
        self.model = Model(
            self.model.max_connections,
            self.model.max_keepalive,
            self.model.keepalive_expiry,
            self.model.max_per_origin,
            self.model.max_shared,
            self.model.origins,
            counted=self.model.counted,
        )

    # What always holds

    @invariant()
    def both_make_the_same_decisions(self) -> None:
        model, ledger = self.model, self.ledger
        assert ledger.closing == [c.number for c in model.closing]
        assert ledger.granted == [self.tickets[request] for request in model.granted]
        for request in model.granted:
            ticket = self.tickets[request]
            assert request not in self.woken
            self.woken.add(request)
            assert ticket.grant is request.grant
            connection = ticket.lease and ticket.lease.connection
            assert connection == (request.connection and request.connection.number)
        for decided in (model.closing, model.granted, ledger.closing, ledger.granted):
            decided.clear()
        # A ticket holds the connection that it was granted: requests that gave up drop theirs.
        self.tickets = {r: ticket for r, ticket in self.tickets.items() if r in self.leases}
        for request in self.undecided:
            assert self.tickets[request].grant is request.grant

    @invariant()
    def both_hold_the_same_connections(self) -> None:
        model, ledger = self.model, self.ledger
        assert ledger.connections() == [c.number for c in model.connections]
        for connection in self.known:
            slot = ledger._slots.get(connection.number)
            assert (SlotState.GONE if slot is None else slot.state) is connection.state
        idle = sum(c.state is SlotState.IDLE for c in model.connections)
        assert ledger.counts() == Counts(
            len(model.connections) - idle,
            idle,
            len(model.dials) + sum(c.in_use for c in model.connections),
            len(model.waiting),
        )

    @invariant()
    def both_count_the_connections_of_each_key_that_take_requests(self) -> None:
        for key in "abc":
            retired = [
                c for c in self.model.connections if c.key == key and c.state is SlotState.RETIRED
            ]
            assert self.ledger.count_open(key) == self.model.used_by(key) - len(retired)

    @invariant()
    def both_have_the_same_statistics(self) -> None:
        model = self.model
        keys, totals = self.ledger.stats()
        expected: dict[str, OriginStats] = {}
        for key in {c.key for c in model.connections} | {
            r.key for r in model.dials + model.waiting
        }:
            connections = [c for c in model.connections if c.key == key]
            states = Counter(c.state for c in connections)
            dials = sum(r.key == key for r in model.dials)
            expected[key] = OriginStats(
                states[SlotState.BUSY] + states[SlotState.RETIRED],
                states[SlotState.IDLE],
                states[SlotState.DIALING] + dials,
                dials + sum(c.in_use for c in connections),
                sum(r.key == key for r in model.waiting),
            )
        assert keys == expected
        closed = totals.closed.copy()
        assert closed.pop(CloseReason.DIAL_FAILED, 0) == model.counted["dials failed"]
        assert sum(closed.values()) == model.counted["closed"]
        assert totals.opened == model.counted["opened"]

    @invariant()
    def the_limits_are_kept(self) -> None:
        assert self.model.used() <= self.model.max_connections
        assert len(self.model.idle) <= self.model.max_keepalive
        for key in "abc":
            keys = self.model.keys_beside(key)
            assert sum(map(self.model.used_by, keys)) <= self.model.max_per_origin

    @invariant()
    def no_idle_connection_had_expired_when_it_was_checked_in(self) -> None:
        if self.model.keepalive_expiry == 0 or self.model.max_keepalive == 0:
            assert not self.model.idle

    @invariant()
    def no_request_waits_without_need(self) -> None:
        model = self.model
        if model.queue:
            assert not model.can_dial()
        for request in model.waiting:
            assert not any(c.key == request.key for c in model.available)
            if request in model.all_blocked():
                assert not model.may_dial(request.key)
                assert not model.idle_beside(request.key)
            elif request not in model.queue and request.key in model.awaited:
                assert request.key not in model.queue
            elif request not in model.queue:
                assert request.key in model.queue or not model.may_dial(request.key, True)
                assert model.has_all_shared(request.key) or not (
                    request.key not in model.queue and model.idle_beside(request.key)
                )
        for key, awaited in model.awaited.items():
            assert awaited in model.dials or any(c.ticket is awaited for c in self.dialing()), key

    @invariant()
    def without_sharing_the_queue_is_in_the_order_of_arrival(self) -> None:
        if (
            self.sharing == [False]
            and self.model.max_per_origin == self.model.max_shared == FOREVER
        ):
            arrivals = [self.model.arrival(claimant) for claimant in self.model.queue]
            assert arrivals == sorted(arrivals)

    @invariant()
    def nobody_in_the_queue_waits_for_a_request_that_came_later_than_those_ahead(self) -> None:
        # The latest of those ahead of a request, itself included, is replaced by earlier ones alone: so it is served.
        if self.sharing != [False]:
            return  # the place of a key stays where it is when its first shared waiter gives up
        latest: dict[Request, float] = {}
        number = 0.0
        for claimant in self.model.queue:
            number = max(number, self.model.arrival(claimant))
            if isinstance(claimant, Request):
                latest[claimant] = number
                assert number <= self.latest.get(claimant, FOREVER)
        self.latest = latest

    @invariant()
    def the_requests_that_wait_for_a_slot_of_their_key_are_in_the_order_of_arrival(self) -> None:
        for key in "abc":
            waiters = [r.number for r in self.model.waiters(key) if not r.comes_again]
            assert waiters == sorted(waiters) or self.sharing == [False, True]

    @invariant()
    def without_sharing_those_that_wait_for_a_slot_of_their_origin_are_in_the_order_of_arrival(
        self,
    ) -> None:
        if self.sharing == [False]:
            for blocked in self.model.blocked.values():
                arrivals = [self.model.arrival(claimant) for claimant in blocked]
                assert arrivals == sorted(arrivals)

    @invariant()
    def shared_waiters_are_in_the_order_of_arrival(self) -> None:
        for group in self.ledger._groups.values():
            arrivals = [ticket.number for ticket in group.shared_waiters]
            assert arrivals == sorted(arrivals)

    @invariant()
    def nothing_is_kept_of_keys_that_have_nothing(self) -> None:
        model = self.model
        live = {c.key for c in model.connections} | {r.key for r in model.dials + model.waiting}
        assert set(self.ledger._groups) == live

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return
        # Giving up may grant something to another, which then gives up in its turn.
        for request in self.undecided:
            self.ledger.abandon(self.tickets[request], self.now)
        for connection in self.ledger.connections():
            self.ledger.discard(connection)
        ledger = self.ledger
        for held in (ledger._groups, ledger._slots, ledger._tickets, ledger._idle, ledger._queue):
            assert not held


TestTheLedgerDecidesAsTheModelDoes = Histories.TestCase
TestTheLedgerDecidesAsTheModelDoes.settings = settings(
    # 300 histories, and more where a profile asks for more.
    max_examples=3 * settings().max_examples,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
