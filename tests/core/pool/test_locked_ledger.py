"""The ledger for threads."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from httpcore2_core import ConnectionPool
from httpcore2_core._pool.locked_ledger import LockedLedger

from ..conftest import in_child


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_closes_a_pool_whose_lock_another_thread_held() -> None:
    ledger: LockedLedger[Any, Any] = LockedLedger(1, None, None)
    pool = ConnectionPool()
    pool._engine._ledger = ledger
    is_held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with ledger._lock:
            is_held.set()
            may_end.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait()

    def close() -> bool:
        pool.close()
        return "0 active" in repr(pool)

    try:
        assert in_child(close)
    finally:
        may_end.set()
        holder.join()
