"""Makes the request for a URL: method, header fields and body.

Rules: as curl, it adds `Host`, `User-Agent` and `Accept`; a field of the user replaces one of these, and `Name:`
removes it.
Must not know: connections, how it is sent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import BinaryIO

from httpcore2_core import URL, Request
from httpcore2_core._distributions import VERSION
from httpcore2_core._http.bodies import iterate
from httpcore2_core._urls import host_header

from ._failures import ExitCode, Failure
from ._options import Options

SCHEMES = (b"http", b"https")
CHUNK = 65536

Fields = list[tuple[bytes, bytes]]


class Upload:
    """A file as the body of a request, for threads and event loops. It can be sent again, unless it is a pipe.

    Args:
        path: the file; `-` is the standard input.

    Attributes:
        size: its bytes, or `None` if that is unknown.
        on_bytes: called with the count of each chunk that is sent.

    Raises:
        Failure: the file cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.on_bytes: Callable[[int], None] = lambda count: None
        self._file: BinaryIO = sys.stdin.buffer if path == "-" else _open(path)
        self.size = None if path == "-" else os.fstat(self._file.fileno()).st_size

    def __iter__(self) -> Iterator[bytes]:
        if self._file.seekable():
            self._file.seek(0)
        # The size that was announced counts: the file may grow meanwhile.
        left = sys.maxsize if self.size is None else self.size
        while chunk := self._file.read(min(CHUNK, left)):
            left -= len(chunk)
            self.on_bytes(len(chunk))
            yield chunk

    def __aiter__(self) -> AsyncIterator[bytes]:
        # Not an async generator, which an interruption would leave to its event loop.
        return aiter(iterate(iter(self), True))

    def close(self) -> None:
        if self.path != "-":
            self._file.close()


def _open(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as exc:
        raise Failure(ExitCode.READ, f"{path} cannot be read: {exc.strerror}.") from exc


def parse_url(text: str) -> URL:
    """Return a URL as curl understands it: without a scheme it is an http URL.

    Raises:
        Failure: it is malformed, has another scheme, or has credentials.
    """
    text = text if "://" in text else f"http://{text}"
    try:
        url = URL(text)
    except (TypeError, ValueError) as exc:
        hint = (
            None
            if text.isascii()
            else "Write other characters than ASCII in percent-encoding, and hosts in punycode."
        )
        raise Failure(ExitCode.MALFORMED_URL, f"The URL is malformed: {exc}", hint) from exc
    if url.scheme not in SCHEMES:
        message = f"The scheme {url.scheme.decode()!r} is not supported: it must be http or https."
        raise Failure(ExitCode.UNSUPPORTED_PROTOCOL, message)
    if not url.host:
        raise Failure(ExitCode.MALFORMED_URL, "The URL has no host.")
    authority = text.partition("://")[2].partition("/")[0]
    if "@" in authority.partition("?")[0].partition("#")[0]:
        hint = "Send them with -H 'Authorization: ...', or use a client that authenticates, such as httpx2."
        raise Failure(
            ExitCode.USAGE, "Credentials in the URL are not sent: this is a transport.", hint
        )
    if any(byte <= 32 for byte in url.target):
        message = "The URL has a blank or a control character. Write them in percent-encoding."
        raise Failure(ExitCode.MALFORMED_URL, message)
    return url


def file_name(url: URL) -> str:
    """Return the last part of a URL's path, after which -O names the file; empty if there is none."""
    return url.target.partition(b"?")[0].rpartition(b"/")[2].decode("ascii")


def make_request(options: Options, text: str, offset: int = 0) -> tuple[Request, Upload | None]:
    """Return the request for a URL, and its upload if there is one.

    Args:
        options: the options of the run.
        text: the URL as given.
        offset: the first byte that is requested, if that is not 0.

    Raises:
        Failure: the URL, a field or a file is faulty.
    """
    url = parse_url(text)
    upload = None
    if options.upload is not None:
        url = _upload_url(url, options.upload)
        upload = Upload(options.upload)
    defaults: Fields = [
        (b"Host", host_header(url.scheme, url.host, url.port)),
        (b"User-Agent", f"httpcore2/{VERSION}".encode()),
        (b"Accept", b"*/*"),
    ]
    if offset:
        defaults.append((b"Range", b"bytes=%d-" % offset))
    method = "HEAD" if options.head else "GET"
    content: bytes | Upload | None = None
    if options.data is not None:
        method, content = "POST", options.data
        defaults.append((b"Content-Length", b"%d" % len(options.data)))
        defaults.append((b"Content-Type", b"application/x-www-form-urlencoded"))
    elif upload is not None:
        method, content = "PUT", upload
        framing = (b"Transfer-Encoding", b"chunked")
        if upload.size is not None:
            framing = (b"Content-Length", b"%d" % upload.size)
        defaults.append(framing)
    fields = merge_fields(defaults, [parse_field(each) for each in options.fields])
    request = Request(options.method or method, url, headers=fields, content=content)
    request.extensions["timeout"] = {
        "connect": options.connect_timeout,
        "total": options.max_time,
    }
    return request, upload


def _upload_url(url: URL, path: str) -> URL:
    """Append the name of the file to a URL that ends with a slash, as curl does."""
    if path == "-" or not url.target.endswith(b"/"):
        return url
    from urllib.parse import quote

    name = quote(os.path.basename(path)).encode()
    return URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target + name)


def parse_field(text: str) -> tuple[bytes, bytes | None]:
    """Return the name and the value of a field as given to -H; `None` removes the field.

    Raises:
        Failure: it is none of `Name: value`, `Name:` and `Name;`.
    """
    name, colon, value = text.partition(":")
    if colon:
        value = value.strip(" \t")
        return name.encode(), value.encode() if value else None
    if text.endswith(";"):
        return text[:-1].encode(), b""
    hint = "Write 'Name: value'; 'Name:' to remove a field; 'Name;' to send it without a value."
    raise Failure(ExitCode.USAGE, f"-H {name!r} is not a header field.", hint)


def merge_fields(defaults: Fields, given: list[tuple[bytes, bytes | None]]) -> Fields:
    """Return the fields to send: those of the user replace defaults of the same name, where these stand."""
    names = {name.lower() for name, _ in given}
    fields: Fields = [field for field in defaults if field[0].lower() not in names]
    fields += [(name, value) for name, value in given if value is not None]
    # RFC 9110, section 7.2: Host should come first.
    fields.sort(key=lambda field: field[0].lower() != b"host")
    return fields
