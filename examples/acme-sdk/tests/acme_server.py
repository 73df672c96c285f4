"""A small server of Acme's API, as the function of a script."""

from __future__ import annotations

import json
from typing import Any

from httpcore2_core.testing import ReceivedRequest, reply

TOKEN = "s3cret"


class AcmeServer:
    """Holds notes and attachments in memory. A page has two notes."""

    def __init__(self) -> None:
        self.notes: dict[int, str] = {}
        self.attachments: dict[int, bytes] = {}

    def __call__(self, request: ReceivedRequest) -> bytes:
        if request.header("Authorization") != f"Bearer {TOKEN}":
            return reply(401, b"Who are you?")
        path, _, query = request.target.decode().removeprefix("/v1/notes").partition("?")
        if not path:
            return self._write(request) if request.method == b"POST" else self._page(query)
        number, _, rest = path.removeprefix("/").partition("/")
        if int(number) not in self.notes:
            return reply(404, b"No such note")
        return self._attachment(request, int(number)) if rest else self._note(request, int(number))

    def _write(self, request: ReceivedRequest) -> bytes:
        number = len(self.notes) + 1
        self.notes[number] = json.loads(request.body)["text"]
        return _json(201, self._show(number))

    def _page(self, query: str) -> bytes:
        start = int(query.removeprefix("after=") or 0)
        numbers = [number for number in self.notes if number > start]
        page: dict[str, Any] = {"notes": [self._show(number) for number in numbers[:2]]}
        if len(numbers) > 2:
            page["next"] = f"notes?after={numbers[1]}"
        return _json(200, page)

    def _note(self, request: ReceivedRequest, number: int) -> bytes:
        if request.method == b"DELETE":
            del self.notes[number]
            return reply(204)
        return _json(200, self._show(number))

    def _attachment(self, request: ReceivedRequest, number: int) -> bytes:
        if request.method == b"PUT":
            self.attachments[number] = request.body
            return reply(204)
        return reply(200, self.attachments[number])

    def _show(self, number: int) -> dict[str, Any]:
        return {"id": number, "text": self.notes[number]}


def _json(status: int, content: object) -> bytes:
    return reply(status, json.dumps(content).encode(), {"Content-Type": "application/json"})
