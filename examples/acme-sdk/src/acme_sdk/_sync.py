"""The client for threads."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager

from httpcore2_core import RequestInterface, Response

from . import calls
from .calls import TIMEOUTS, URL, Call, Note, Settings


class Acme:
    """The notes of Acme, for threads. It may be shared by threads."""

    def __init__(
        self,
        http: RequestInterface,
        token: str,
        *,
        url: str = URL,
        timeouts: Mapping[str, float] = TIMEOUTS,
    ) -> None:
        """Create a client.

        Args:
            http: a `ConnectionPool` or `HTTPProxy`. The caller keeps and closes it.
            token: the token from Acme's settings.
            url: the URL of the API.
            timeouts: the limits in seconds for `pool`, `connect`, `read`, `write` and `total`.

        Raises:
            ValueError: the URL is not absolute.
        """
        self._http = http
        self._settings = Settings(token, url, timeouts)

    def notes(self) -> Iterator[Note]:
        """Iterate over all notes, page by page."""
        call: Call | None = calls.list_notes()
        while call is not None:
            page = calls.to_page(self._send(call))
            yield from page.notes
            call = page.next_call

    def note(self, number: int) -> Note:
        """Return a note.

        Raises:
            NotFound: there is no note with this number.
        """
        return calls.to_note(self._send(calls.read_note(number)))

    def write(self, text: str) -> Note:
        """Write a new note, and return it."""
        return calls.to_note(self._send(calls.write_note(text)))

    def delete(self, number: int) -> None:
        """Delete a note.

        Raises:
            NotFound: there is no note with this number.
        """
        calls.check(self._send(calls.delete_note(number)))

    def attach(self, number: int, content: bytes | Iterator[bytes]) -> None:
        """Send an attachment: bytes, or an iterable of chunks."""
        calls.check(self._send(calls.attach(number), content))

    @contextmanager
    def attachment(self, number: int) -> Generator[Iterator[bytes], None, None]:
        """Iterate over the chunks of a note's attachment, as they arrive."""
        call = calls.read_attachment(number)
        settings = self._settings
        with self._http.stream(
            call.method,
            settings.url(call),
            headers=settings.headers(call),
            extensions=settings.extensions(),
        ) as response:
            if response.status != 200:
                response.read()
                calls.check(response)
            yield response.iter_stream()

    def _send(self, call: Call, content: bytes | Iterator[bytes] | None = None) -> Response:
        settings = self._settings
        return self._http.request(
            call.method,
            settings.url(call),
            headers=settings.headers(call),
            content=call.content if content is None else content,
            extensions=settings.extensions(),
        )
