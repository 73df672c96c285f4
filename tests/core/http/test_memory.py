"""What a pool remembers, and that closing it forgets all of it."""

from __future__ import annotations

from httpcore2_core._http.memory import Memory
from httpcore2_core._http.timeouts import TimeoutMemory
from httpcore2_core._http11.heads import HeadMemory


def test_a_memory_has_one_object_of_each_kind() -> None:
    memory = Memory()
    heads = memory.of(HeadMemory)
    assert memory.of(HeadMemory) is heads
    assert isinstance(memory.of(TimeoutMemory), TimeoutMemory)


def test_a_memory_forgets_all_kinds() -> None:
    memory = Memory()
    heads = memory.of(HeadMemory)
    block = heads.header_block([(b"Host", b"a")])
    assert heads.header_block([(b"Host", b"a")]) is block
    memory.forget()
    assert memory.of(HeadMemory) is heads
    assert heads.header_block([(b"Host", b"a")]) is not block
