"""One of many does a job on behalf of all, such as reading from a stream that they share.

There is no task in the background. A participant that needs the job done takes the role if it is free, and does the job
until its own need is met; the others wait. When it leaves, the role passes to the first that still waits.

    turn = Turn()
    try:
        while True:
            with lock:
                if is_ready():
                    return
                waiter = None if role.take(turn) else role.enqueue(turn, runtime.create_waiter())
            if waiter is None:
                await do_the_job()
            else:
                await waiter.wait(timeout)
    finally:
        with lock:
            role.leave(turn)

Rules: every method is called under the lock of the object that owns the role. `leave` belongs in a `finally` around all
of it: the role names the turn that has it, so that `leave` is right wherever an exception came, a cancellation and
KeyboardInterrupt included.

Must not know: the job, streams, locks, clocks. It waits for nothing itself.
"""

from __future__ import annotations

from .runtime import Waiter


class Turn:
    """One participant: it has the role, waits for it, or neither.

    Attributes:
        waiter: wakes the participant; `None` if it does not wait, or was woken already.
    """

    def __init__(self) -> None:
        self.waiter: Waiter | None = None

    def wake(self) -> None:
        """Let the participant check again whether it is ready."""
        if self.waiter is not None:
            self.waiter.wake()
            self.waiter = None


class Role:
    """The right to do a job on behalf of all, which one participant has at a time.

    Attributes:
        holder: the participant that has it; `None` if it is free.
    """

    __slots__ = ("_queue", "holder")

    def __init__(self) -> None:
        self.holder: Turn | None = None
        self._queue: dict[Turn, None] = {}

    def take(self, turn: Turn) -> bool:
        """Take the role if it is free; return whether `turn` has it, which may have been passed to it before."""
        if self.holder is None:
            self.holder = turn
            if self._queue:
                self._queue.pop(turn, None)
        return self.holder is turn

    def enqueue(self, turn: Turn, waiter: Waiter) -> Waiter:
        """Add `turn` to those that wait for the role, and return `waiter`, which wakes it.

        A turn that is among them already keeps its place.
        """
        turn.waiter = waiter
        self._queue[turn] = None
        return waiter

    def leave(self, turn: Turn) -> None:
        """End the part that `turn` takes: it no longer waits, and passes the role on if it has it."""
        if self._queue:
            self._queue.pop(turn, None)
            if self.holder is turn:
                self.pass_on()
        elif self.holder is turn:
            self.holder = None

    def pass_on(self) -> None:
        """Pass the role to the first that waits; a participant that was woken already takes it if it needs it."""
        for turn in self._queue:
            if turn.waiter is not None:
                turn.wake()
                self.holder = turn
                del self._queue[turn]
                return
        self.holder = None

    def wake_all(self) -> None:
        """Let all that wait check again whether they are ready."""
        for turn in self._queue:
            turn.wake()

    @property
    def waiting(self) -> tuple[Turn, ...]:
        """The participants that wait, the first to come first."""
        return tuple(self._queue)
