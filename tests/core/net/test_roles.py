"""A role has one holder at a time, and is not lost, whatever becomes of its holder."""

from __future__ import annotations

import random
import types
from collections.abc import Coroutine, Generator
from typing import Any

import pytest

from httpcore2_core._net.roles import Role, Turn
from httpcore2_core._net.runtime import Waiter


class FakeWaiter(Waiter):
    """Suspends until it is woken, or resumed by the test, which stands for a timeout."""

    def __init__(self) -> None:
        self.is_woken = False

    def wake(self) -> None:
        self.is_woken = True

    async def wait(self, timeout: float | None) -> bool:
        while not self.is_woken:
            if await suspend(self) == "timeout":
                break
        return self.is_woken


@types.coroutine
def suspend(waiter: FakeWaiter | None) -> Generator[Any, Any, Any]:
    return (yield waiter)


def queued(role: Role) -> tuple[Turn, FakeWaiter]:
    turn, waiter = Turn(), FakeWaiter()
    assert not role.take(turn)
    assert role.enqueue(turn, waiter) is waiter
    return turn, waiter


def test_a_role_that_is_free_is_taken_once() -> None:
    role, first, second = Role(), Turn(), Turn()
    assert role.take(first) and role.take(first)
    assert not role.take(second)
    assert role.holder is first


def test_the_role_passes_to_the_first_that_waits() -> None:
    role, first = Role(), Turn()
    role.take(first)
    (second, second_waiter), (third, third_waiter) = queued(role), queued(role)
    assert role.waiting == (second, third)
    role.leave(first)
    assert role.holder is second and second_waiter.is_woken and not third_waiter.is_woken
    assert role.take(second)
    assert list(role.waiting) == [third]


def test_the_role_is_free_when_nobody_waits() -> None:
    role, first, second = Role(), Turn(), Turn()
    role.take(first)
    role.leave(first)
    assert role.holder is None
    assert role.take(second)


def test_a_participant_that_stops_waiting_is_not_passed_the_role() -> None:
    role, first = Role(), Turn()
    role.take(first)
    second, _ = queued(role)
    role.leave(second)
    role.leave(first)
    assert role.holder is None


def test_a_participant_that_was_passed_the_role_and_leaves_passes_it_on() -> None:
    role, first = Role(), Turn()
    role.take(first)
    (second, _), (third, waiter) = queued(role), queued(role)
    role.leave(first)
    role.leave(second)
    assert role.holder is third and waiter.is_woken


def test_a_participant_that_was_woken_is_not_woken_once_more_for_the_role() -> None:
    """It checks anyway, and takes the role if it needs it."""
    role, first = Role(), Turn()
    role.take(first)
    (second, _), (third, waiter) = queued(role), queued(role)
    second.wake()
    role.leave(first)
    assert role.holder is third and waiter.is_woken
    role.leave(third)
    assert role.holder is None
    assert role.take(second)
    assert role.waiting == ()


def test_a_participant_that_waits_again_keeps_its_place() -> None:
    role, first = Role(), Turn()
    role.take(first)
    (second, _), (third, _) = queued(role), queued(role)
    role.enqueue(second, FakeWaiter())
    assert role.waiting == (second, third)


def test_all_that_wait_can_be_woken() -> None:
    role = Role()
    role.take(Turn())
    waiters = [queued(role)[1] for _ in range(3)]
    role.wake_all()
    assert all(waiter.is_woken for waiter in waiters)


class Interruption(BaseException):
    """What ends a participant at any point."""


@pytest.mark.parametrize("seed", range(200))
def test_no_participant_is_left_waiting_whatever_ends_the_others(seed: int) -> None:
    """Participants that need the job done some times, resumed, timed out and interrupted in a random order."""
    dice = random.Random(seed)
    role = Role()
    at_work: list[Turn] = []

    async def participate(rounds: int) -> None:
        turn = Turn()
        try:
            while rounds:
                waiter = None
                if not role.take(turn):
                    waiter = role.enqueue(turn, FakeWaiter())
                await suspend(None)  # between the lock and what follows
                if waiter is None:
                    assert role.holder is turn and not at_work
                    at_work.append(turn)
                    try:
                        await suspend(None)
                    finally:
                        at_work.remove(turn)
                    rounds -= 1
                else:
                    await waiter.wait(None)
                    if dice.random() < 0.3:
                        return  # what it waited for has come
        finally:
            role.leave(turn)

    running: dict[Coroutine[Any, Any, None], FakeWaiter | None] = {
        participate(dice.randrange(1, 4)): None for _ in range(dice.randrange(1, 8))
    }
    while running:
        runnable = [task for task, waiter in running.items() if waiter is None or waiter.is_woken]
        assert runnable, "all wait, and nobody has the role"
        task = dice.choice(runnable)
        action = dice.random()
        if action < 0.3:
            task = dice.choice(list(running))
        try:
            if action < 0.15:
                running[task] = task.throw(Interruption)
            else:
                running[task] = task.send(None if task in runnable else "timeout")
        except (StopIteration, Interruption):
            del running[task]
    assert role.holder is None and role.waiting == ()
