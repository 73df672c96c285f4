"""Pools drop the arguments of their requests, and so all credentials, when they are closed."""

from __future__ import annotations

import gc
from collections.abc import Iterator

from httpcore2_core import AsyncConnectionPool, ConnectionPool
from httpcore2_core.testing import AsyncScriptedBackend, Script, ScriptedBackend, reply

from ...support.runtimes import TestedAsyncRuntime


def texts_with(secret: str) -> Iterator[str | bytes]:
    """Yield all text and bytes with `secret` that an object of the program refers to."""
    gc.collect()
    for holder in gc.get_objects():
        for found in gc.get_referents(holder):
            if (isinstance(found, bytes) and secret.encode() in found) or (
                isinstance(found, str) and secret in found
            ):
                yield found


def credential(number: int) -> str:
    """Return a text that no other object of the program has."""
    return f"{'ret'[::-1]}-{number}-{'ces'[::-1]}"


def arguments(number: int) -> tuple[str, str, list[tuple[str, str]]]:
    secret = credential(number)
    return "GET", f"http://user:{secret}@a/?token={secret}", [("Authorization", secret)]


def test_no_credential_survives_closing_a_pool() -> None:
    script = Script(lambda _: reply())
    pool = ConnectionPool(network_backend=ScriptedBackend(script))

    def use() -> None:
        method, url, headers = arguments(1)
        pool.request(method, url, headers=headers)

    use()
    script.requests.clear()
    assert list(texts_with(credential(1)))
    pool.close()
    assert not list(texts_with(credential(1)))


def test_no_credential_survives_closing_an_async_pool(async_runtime: TestedAsyncRuntime) -> None:
    script = Script(lambda _: reply())
    pool = AsyncConnectionPool(network_backend=AsyncScriptedBackend(script))

    async def use() -> None:
        method, url, headers = arguments(2)
        await pool.request(method, url, headers=headers)

    async def scenario() -> None:
        await use()
        await pool.aclose()

    async_runtime.run(scenario)
    script.requests.clear()
    assert not list(texts_with(credential(2)))
