"""The client for event loops: asyncio, trio and anyio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

from httpcore2_core import AsyncRequestInterface, Response

from . import calls
from .calls import TIMEOUTS, URL, Call, Note, Settings


class AsyncAcme:
    """The notes of Acme, for event loops. It may be shared by the tasks of one event loop."""

    def __init__(
        self,
        http: AsyncRequestInterface,
        token: str,
        *,
        url: str = URL,
        timeouts: Mapping[str, float] = TIMEOUTS,
    ) -> None:
        """Create a client.

        Args:
            http: an `AsyncConnectionPool` or `AsyncHTTPProxy`. The caller keeps and closes it.
            token: the token from Acme's settings.
            url: the URL of the API.
            timeouts: the limits in seconds for `pool`, `connect`, `read`, `write` and `total`.

        Raises:
            ValueError: the URL is not absolute.
        """
        self._http = http
        self._settings = Settings(token, url, timeouts)

    async def notes(self) -> AsyncIterator[Note]:
        """Iterate over all notes, page by page."""
        call: Call | None = calls.list_notes()
        while call is not None:
            page = calls.to_page(await self._send(call))
            for note in page.notes:
                yield note
            call = page.next_call

    async def note(self, number: int) -> Note:
        """Return a note.

        Raises:
            NotFound: there is no note with this number.
        """
        return calls.to_note(await self._send(calls.read_note(number)))

    async def write(self, text: str) -> Note:
        """Write a new note, and return it."""
        return calls.to_note(await self._send(calls.write_note(text)))

    async def delete(self, number: int) -> None:
        """Delete a note.

        Raises:
            NotFound: there is no note with this number.
        """
        calls.check(await self._send(calls.delete_note(number)))

    async def attach(self, number: int, content: bytes | AsyncIterator[bytes]) -> None:
        """Send an attachment: bytes, or an async iterable of chunks."""
        calls.check(await self._send(calls.attach(number), content))

    @asynccontextmanager
    async def attachment(self, number: int) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """Iterate over the chunks of a note's attachment, as they arrive."""
        call = calls.read_attachment(number)
        settings = self._settings
        async with self._http.stream(
            call.method,
            settings.url(call),
            headers=settings.headers(call),
            extensions=settings.extensions(),
        ) as response:
            if response.status != 200:
                await response.aread()
                calls.check(response)
            yield response.aiter_stream()

    async def _send(
        self, call: Call, content: bytes | AsyncIterator[bytes] | None = None
    ) -> Response:
        settings = self._settings
        return await self._http.request(
            call.method,
            settings.url(call),
            headers=settings.headers(call),
            content=call.content if content is None else content,
            extensions=settings.extensions(),
        )
