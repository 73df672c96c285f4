"""The options of one run, after the command line has been parsed and checked.

Must not know: how they are written on a command line, how they are carried out.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """How to load a server.

    Attributes:
        requests: how many requests to send.
        connections: how many connections to open.
        streams: how many requests may be in progress on each connection.
        seconds: when to stop, or `None` to stop after `requests`.
        is_allowed: whether the user said that the server may be loaded, wherever it is.
    """

    requests: int
    connections: int
    streams: int
    seconds: float | None
    is_allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one run, with the meaning that curl gives to those of the same name.

    Attributes:
        urls: the URLs as given.
        method: the method, or `None` for the one that follows from the other options.
        fields: the header fields as given: `Name: value`, `Name:` or `Name;`.
        data: the body of -d and --data-binary.
        upload: the file of -T; `-` is the standard input.
        outputs: the files of -o, in the order of the URLs.
        remote_name: whether files are named after the path of the URL.
        resume: the offset of -C, `-1` for the size of the file, or `None`.
        head: whether only the head of the response is requested.
        include: whether the head is written before the body.
        fail: whether a status of 400 or more is an error.
        silent: whether messages and progress are left out.
        show_error: whether errors are shown all the same.
        verbose: whether heads and connection are shown.
        trace: whether each event of the transport is shown.
        waterfall: whether the phases are drawn where the standard error is not a terminal, too.
        json: whether each request is reported as a line of JSON.
        write_out: the format of -w.
        insecure: whether certificates are not checked.
        trust_file: the file of --cacert.
        certificate: the file of --cert, and its password.
        key: the file of --key.
        proxy: the URL of the proxy.
        proxy_user: the user and the password for the proxy.
        resolve: addresses by host and port.
        connect_to: pairs of host and port: the one in the URL, and the one to connect to.
        unix_socket: the path of a unix socket to connect to.
        interface: the local address, interface or host of --interface.
        family: 4, 6 or 0 for both.
        http1: whether HTTP/1.1 may be used.
        http2: whether HTTP/2 may be used; `None` if it is installed.
        http3: whether HTTP/3 is tried first, or is used alone if neither of the others may be.
        connect_timeout: seconds.
        max_time: seconds.
        retry: how often a transfer is repeated after a transient error.
        repeat: how often each URL is requested.
        backend: the runtime.
        bench: how to load the server, or `None`.
    """

    urls: tuple[str, ...]
    method: str | None = None
    fields: tuple[str, ...] = ()
    data: bytes | None = None
    upload: str | None = None
    outputs: tuple[str, ...] = ()
    remote_name: bool = False
    resume: int | None = None
    head: bool = False
    include: bool = False
    fail: bool = False
    silent: bool = False
    show_error: bool = False
    verbose: bool = False
    trace: bool = False
    waterfall: bool = False
    json: bool = False
    write_out: str | None = None
    insecure: bool = False
    trust_file: str | None = None
    certificate: tuple[str, str | None] | None = None
    key: str | None = None
    proxy: str | None = None
    proxy_user: tuple[str, str] | None = None
    resolve: tuple[tuple[str, int, tuple[str, ...]], ...] = ()
    connect_to: tuple[tuple[str, int, str, int], ...] = ()
    unix_socket: str | None = None
    interface: str | None = None
    family: int = 0
    http1: bool = True
    http2: bool | None = None
    http3: bool = False
    connect_timeout: float | None = None
    max_time: float | None = None
    retry: int = 0
    repeat: int = 1
    backend: str = "threads"
    bench: BenchOptions | None = None

    @property
    def is_http3_only(self) -> bool:
        """Whether no other version than HTTP/3 may be used."""
        return self.http3 and self.http2 is False and not self.http1
