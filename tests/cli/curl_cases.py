"""Command lines that curl and httpcore2 both run, and the origin that answers them.

The origin repeats each request in its answer, without the fields in which the two may differ, so that equal bodies also
mean equal requests.
Rules: a difference has a reason, which the documentation shows.
Must not know: how a command is run.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..support.scripted_servers import Peer, response

BODY = bytes(range(256)) * 4
FILE = b"first=1\r\nsecond=2\n"


class CurlCase(NamedTuple):
    """One command line.

    Attributes:
        arguments: with `{origin}`, `{tls}`, `{h2}`, `{port}`, `{proxy}`, `{socks}`, `{socket}`, `{closed}`, `{ca}`, and
            the files `data`, `part` and `out` in the working directory.
        difference: why the outcomes differ, or `None` if they must not.
    """

    arguments: str
    difference: str | None = None


CASES = (
    CurlCase("{origin}/fine"),
    CurlCase("-i {origin}/fine"),
    CurlCase("-I {origin}/fine"),
    CurlCase("-X DELETE {origin}/echo"),
    CurlCase("-H X-One:1 -H X-One:2 {origin}/echo"),
    CurlCase("-H Accept: -H User-Agent: {origin}/echo"),
    CurlCase("-H X-Empty; {origin}/echo"),
    CurlCase("-d a=1 -d b=2 {origin}/echo"),
    CurlCase("-d @data {origin}/echo"),
    CurlCase("--data-binary @data -X PATCH {origin}/echo"),
    CurlCase("-T data {origin}/echo"),
    CurlCase("-T data {origin}/folder/"),
    CurlCase("-o out {origin}/bytes"),
    CurlCase("-o out -o other {origin}/fine {origin}/bytes"),
    CurlCase("-O {origin}/folder/name?query"),
    CurlCase("-f {origin}/status/404"),
    CurlCase("-f {origin}/status/200"),
    CurlCase("{origin}/status/500"),
    CurlCase("http://127.0.0.1:{closed}/"),
    CurlCase("http://missing.invalid/"),
    CurlCase("-x http://missing.invalid {origin}/fine"),
    CurlCase("unknown://127.0.0.1/"),
    CurlCase("http://127.0.0.1:none/"),
    CurlCase("--no-such-option {origin}/fine"),
    CurlCase("-m 0.3 {origin}/hang"),
    CurlCase("{origin}/empty"),
    CurlCase("{origin}/truncated"),
    CurlCase("-o out {origin}/truncated"),
    CurlCase("-C - -o part {origin}/bytes"),
    CurlCase("-C 5 -o part {origin}/fine"),
    CurlCase("-C 3 -o part {origin}/fine"),
    CurlCase(
        "-w %{{http_code}},%{{size_download}},%{{num_connects}},%{{content_type}} {origin}/fine"
    ),
    CurlCase("-w %header{{x-field}},%{{exitcode}} {origin}/fine"),
    CurlCase("--resolve a.example:{port}:127.0.0.1 http://a.example:{port}/echo"),
    CurlCase("--connect-to a.example:80:127.0.0.1:{port} http://a.example/echo"),
    CurlCase("--unix-socket {socket} http://a.example/echo"),
    CurlCase("-4 --interface 127.0.0.1 {origin}/fine"),
    CurlCase("-x {proxy} {origin}/echo"),
    CurlCase("-x {proxy} --cacert {ca} {tls}/fine"),
    CurlCase("-x {socks} {origin}/fine"),
    CurlCase("--cacert {ca} {tls}/fine"),
    CurlCase("-k {tls}/fine"),
    CurlCase("{tls}/fine"),
    CurlCase("--cacert none.pem {tls}/fine"),
    CurlCase("https://127.0.0.1:{port}/"),
    CurlCase("--http2-prior-knowledge {h2}/"),
    CurlCase("--cacert {ca} --http1.1 {tls}/fine"),
    CurlCase(
        "-L {origin}/status/302",
        "A transport follows no redirects: it names a client that does, with exit code 2.",
    ),
    CurlCase(
        "--compressed {origin}/fine",
        "A transport decodes no content: it names a client that does, with exit code 2.",
    ),
    CurlCase(
        "http://user:word@127.0.0.1:{port}/echo",
        "Credentials in a URL are refused: a transport does not authenticate.",
    ),
    CurlCase(
        "{origin}/malformed",
        "A malformed status line is exit code 8: curl takes it for HTTP/0.9, which it refuses with 1.",
    ),
    CurlCase("{origin}/a/../echo", "The path is sent as it is: curl removes `/a/..`."),
    CurlCase("{origin}/fine[1-2]", "Brackets stand for themselves: curl requests two URLs."),
    CurlCase(
        "--retry 1 {origin}/busy",
        "The body of the attempt that is repeated is left out: curl writes both.",
    ),
)

# curl waits for 100 before it uploads, but for small bodies. It sends Proxy-Connection, which no RFC has.
HIDDEN = (b"expect: ", b"proxy-connection: ", b"user-agent: ")


def origin(peer: Peer) -> None:
    """Answer requests by their path."""
    while (received := peer.receive_request()) is not None:
        head, body = received
        first, *lines = head.split(b"\r\n")[:-2]
        path = first.split(b" ")[1].partition(b"?")[0]
        path = re.sub(rb"^http://[^/]+", b"", path)
        if not answer(peer, path, first, lines, body):
            return


def answer(peer: Peer, path: bytes, first: bytes, lines: list[bytes], body: bytes) -> bool:
    """Answer one request, and return whether the connection stays open."""
    offset = next((int(line[13:-1]) for line in lines if line.startswith(b"Range: bytes=")), 0)
    match path.split(b"/")[1]:
        case b"empty":
            return False
        case b"truncated":
            peer.send(response(BODY)[:-100])
            return False
        case b"malformed":
            peer.send(b"HTTP/1.1 two hundred\r\n\r\n")
            return False
        case b"hang":
            peer.receive_until_close()
            return False
        case b"status":
            code = path.rpartition(b"/")[2]
            peer.send(response(b"page", b"Location: /fine", status=code + b" Status"))
        case b"busy":
            peer.send(response(b"busy", b"Retry-After: 0", status=b"503 Busy"))
        case b"bytes" if offset:
            span = b"Content-Range: bytes %d-%d/%d" % (offset, len(BODY) - 1, len(BODY))
            peer.send(response(BODY[offset:], span, status=b"206 Partial Content"))
        case b"bytes":
            peer.send(response(BODY))
        case b"echo" | b"folder" | b"a":
            pairs = [line.partition(b":")[::2] for line in lines]
            # RFC 9110, section 5.5: blanks around a value are no part of it.
            fields = [b"%b: %b" % (name.lower(), value.strip()) for name, value in pairs]
            shown = sorted(field for field in fields if not field.startswith(HIDDEN))
            peer.send(response(b"\n".join([first, *shown, body])))
        case _:
            content = b"" if first.startswith(b"HEAD ") else b"fine\n"
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Field: value\r\n"
            peer.send(head + b"Content-Length: 5\r\n\r\n" + content)
    return True
