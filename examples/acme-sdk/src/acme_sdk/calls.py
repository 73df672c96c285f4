"""The requests and responses of Acme's API, shared by the sync and the async client, without I/O.

Must not know: pools, event loops.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from httpcore2_core import Response

URL = "https://api.acme.example/v1/"
TIMEOUTS: Mapping[str, float] = {"pool": 10.0, "connect": 5.0, "read": 30.0, "write": 30.0}
"""The default limits of a call, in seconds."""


class AcmeError(Exception):
    """Acme refused a call. Failures of the network are exceptions of httpcore2.

    Attributes:
        status: the status code of the response.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{message} ({status})")
        self.status = status


class NotFound(AcmeError):
    """The note does not exist."""


class RateLimited(AcmeError):
    """Too many calls.

    Attributes:
        retry_after: the seconds to wait before the next attempt.
    """

    def __init__(self, status: int, message: str, retry_after: float) -> None:
        super().__init__(status, message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Note:
    """A note."""

    number: int
    text: str


@dataclass(frozen=True)
class Page:
    """A page of notes, and the link to the next one."""

    notes: list[Note]
    next_call: Call | None


@dataclass(frozen=True)
class Call:
    """A request to the API; its path is relative to the URL of the API."""

    method: str
    path: str
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Settings:
    """The settings that all calls of a client share."""

    def __init__(self, token: str, url: str, timeouts: Mapping[str, float]) -> None:
        """Check the settings.

        Raises:
            ValueError: the URL is not absolute.
        """
        if "://" not in url:
            raise ValueError(f"The URL of the API must be absolute, but is {url!r}.")
        self._url = url if url.endswith("/") else f"{url}/"
        self._authorization = f"Bearer {token}"
        self._timeouts = dict(timeouts)

    def url(self, call: Call) -> str:
        return self._url + call.path

    def headers(self, call: Call) -> list[tuple[str, str]]:
        common = {"Accept": "application/json", "Authorization": self._authorization}
        return list({**common, **call.headers}.items())

    def extensions(self) -> dict[str, Any]:
        return {"timeout": self._timeouts}


# Calls


def list_notes() -> Call:
    return Call("GET", "notes")


def read_note(number: int) -> Call:
    return Call("GET", f"notes/{number}")


def write_note(text: str) -> Call:
    content = json.dumps({"text": text}).encode()
    return Call("POST", "notes", content, {"Content-Type": "application/json"})


def delete_note(number: int) -> Call:
    return Call("DELETE", f"notes/{number}")


def attach(number: int) -> Call:
    """A call whose content is the caller's."""
    return Call(
        "PUT", f"notes/{number}/attachment", headers={"Content-Type": "application/octet-stream"}
    )


def read_attachment(number: int) -> Call:
    return Call("GET", f"notes/{number}/attachment", headers={"Accept": "application/octet-stream"})


# Responses


def check(response: Response) -> None:
    """Raise an error if the status of a response, whose body has been read, is not 2xx.

    Raises:
        AcmeError: the status is an error; the class depends on it.
    """
    if not 200 <= response.status < 300:
        _refuse(response)


def _refuse(response: Response) -> NoReturn:
    message = response.content.decode("utf-8", "replace") or "Acme gave no reason"
    if response.status == 404:
        raise NotFound(response.status, message)
    if response.status == 429:
        raise RateLimited(response.status, message, _retry_after(response))
    raise AcmeError(response.status, message)


def _retry_after(response: Response) -> float:
    for name, value in response.headers:
        if name.lower() == b"retry-after" and value.isdigit():
            return float(value)
    return 1.0


def to_note(response: Response) -> Note:
    """Read one note."""
    check(response)
    return _note(json.loads(response.content))


def to_page(response: Response) -> Page:
    """Read a page of notes."""
    check(response)
    found = json.loads(response.content)
    following = found.get("next")
    return Page(
        notes=[_note(each) for each in found["notes"]],
        next_call=None if following is None else Call("GET", following),
    )


def _note(found: Any) -> Note:
    return Note(number=int(found["id"]), text=str(found["text"]))
