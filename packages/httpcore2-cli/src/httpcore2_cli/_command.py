"""The command: its options, and how they become an `Options`.

Rules: options that curl has keep its names and meaning. Loading this module loads click, and nothing of the transport.
Must not know: how requests are sent.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, NoReturn, TypeVar

import click

from . import _values as values
from ._options import BenchOptions, Options

T = TypeVar("T")

BACKENDS = ("threads", "asyncio", "trio", "anyio")
SECONDS = click.FloatRange(min=0, min_open=True)

MAX_REQUESTS = 1_000_000
"""The hard limit on the requests of a load."""

MAX_CONCURRENCY = 1000
"""The hard limit on the requests of a load that are in progress at one time."""

# What a client above the transport does.
BEYOND = {
    "-L": "Redirects are not followed: this is a transport. httpx2 is a client that follows them.",
    "--compressed": "Content is not decoded: this is a transport. httpx2 is a client that decodes it.",
}


def parsed(parse: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return a callback that parses the values of an option, and reports a faulty one."""

    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        try:
            if isinstance(value, tuple):
                return tuple(parse(each) for each in value)
            return None if value is None else parse(value)
        except ValueError as exc:
            raise click.BadParameter(str(exc), context, parameter) from exc

    return callback


def parse_field_options(
    context: click.Context, parameter: click.Parameter, value: Iterable[str]
) -> tuple[str, ...]:
    try:
        return values.parse_fields(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc), context, parameter) from exc


def refuse(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        raise click.UsageError(BEYOND[parameter.opts[0]], context)


def show_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        from ._version import version_text

        click.echo(version_text(find_spec))
        context.exit()


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
)
@click.argument("urls", nargs=-1, metavar="URL...")
# The request
@click.option("-X", "--request", "method", metavar="METHOD", help="The method.")
@click.option(
    *("-H", "--header", "fields"),
    multiple=True,
    metavar="FIELD|@FILE",
    callback=parse_field_options,
    help="Send a header field: 'Name: value'. 'Name:' removes a field, 'Name;' sends it empty.",
)
@click.option(
    *("-d", "--data", "data"),
    multiple=True,
    metavar="DATA|@FILE",
    callback=parsed(values.parse_data),
    help="Send data by POST. Several are joined by &. Line ends of a file are removed.",
)
@click.option(
    *("--data-binary", "binary_data"),
    multiple=True,
    metavar="DATA|@FILE",
    callback=parsed(values.parse_binary_data),
    help="Send data by POST, a file as it is.",
)
@click.option(
    *("-T", "--upload-file", "upload"), metavar="FILE", help="Send a file by PUT; - is the input."
)
@click.option("-I", "--head", is_flag=True, help="Request the head only.")
# The response
@click.option(
    *("-o", "--output", "outputs"),
    multiple=True,
    metavar="FILE",
    help="Write the body to a file; - is the standard output. The first is for the first URL.",
)
@click.option(
    *("-O", "--remote-name", "remote_name"), is_flag=True, help="Name the file after the URL."
)
@click.option(
    *("-C", "--continue-at", "resume"),
    metavar="OFFSET",
    callback=parsed(values.parse_resume),
    help="Continue a download at a byte; - is the size of the file.",
)
@click.option("-i", "--include", is_flag=True, help="Write the head before the body.")
@click.option(
    "-f", "--fail", is_flag=True, help="Fail if the status is 400 or more (exit code 22)."
)
# What is shown
@click.option("-s", "--silent", is_flag=True, help="Show no messages, no progress, no waterfall.")
@click.option("-S", "--show-error", is_flag=True, help="Show errors in spite of -s.")
@click.option("-v", "--verbose", is_flag=True, help="Show the connection and the heads.")
@click.option("--trace", is_flag=True, help="Show each event of the transport, with its time.")
@click.option("--waterfall", is_flag=True, help="Draw the phases where there is no terminal, too.")
@click.option(
    "--json", is_flag=True, help="Write a line of JSON for each request, in place of the body."
)
@click.option(
    *("-w", "--write-out", "write_out"),
    metavar="FORMAT|@FILE",
    callback=parsed(values.parse_write_out),
    help="Write facts after the body, such as '%{http_code} %{time_total}\\n'.",
)
# The connection
@click.option("--http1.1", "http11", is_flag=True, help="Use HTTP/1.1 only.")
@click.option("--http2", "http2", is_flag=True, help="Offer HTTP/2 over TLS; it must be installed.")
@click.option(
    "--http2-prior-knowledge", "http2_only", is_flag=True, help="Use HTTP/2 without asking."
)
@click.option(
    "--http3", "http3", is_flag=True, help="Try HTTP/3 first for https; it must be installed."
)
@click.option("--http3-only", "http3_only", is_flag=True, help="Use HTTP/3 and nothing else.")
@click.option("-k", "--insecure", is_flag=True, help="Do not check certificates.")
@click.option(
    "--cacert",
    "trust_file",
    metavar="FILE",
    help="Trust the authorities in a PEM file, and no others.",
)
@click.option(
    *("-E", "--cert", "certificate"),
    metavar="FILE[:PASSWORD]",
    callback=parsed(values.parse_certificate),
    help="Send a client certificate, from a PEM file.",
)
@click.option("--key", metavar="FILE", help="The key of --cert, if it is in another file.")
@click.option(
    *("-x", "--proxy", "proxy"),
    metavar="URL",
    help="Use a proxy: http, https, socks4, socks4a, socks5 or socks5h. The port is 1080 by default.",
)
@click.option(
    *("-U", "--proxy-user", "proxy_user"),
    metavar="USER:PASSWORD",
    callback=parsed(values.parse_user),
    help="The credentials for the proxy.",
)
@click.option(
    "--resolve",
    multiple=True,
    metavar="HOST:PORT:ADDR[,ADDR]",
    callback=parsed(values.parse_resolve),
    help="Use these addresses for a host and port; the host * is any.",
)
@click.option(
    "--connect-to",
    multiple=True,
    metavar="HOST1:PORT1:HOST2:PORT2",
    callback=parsed(values.parse_connect_to),
    help="Connect to host 2 for host 1; an empty part is any, or the same.",
)
@click.option("--unix-socket", metavar="PATH", help="Connect to a unix socket.")
@click.option("--interface", metavar="NAME", help="Connect from an address, interface or host.")
@click.option("-4", "--ipv4", "ipv4", is_flag=True, help="Use IPv4 only.")
@click.option("-6", "--ipv6", "ipv6", is_flag=True, help="Use IPv6 only.")
# Limits
@click.option("--connect-timeout", type=SECONDS, metavar="SECONDS", help="The limit on connecting.")
@click.option(
    *("-m", "short_m"),
    type=SECONDS,
    metavar="VALUE",
    help="As --max-time; with --bench, how many requests at a time on each connection.",
)
@click.option(
    "--max-time", type=SECONDS, metavar="SECONDS", help="The limit on each request as a whole."
)
@click.option(
    "--retry",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Repeat a request after a timeout, and after 408, 429, 500, 502, 503 and 504.",
)
# The transport
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="threads",
    show_default=True,
    help="The runtime.",
)
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Send each request N times, on one pool.",
)
@click.option(
    "--bench", is_flag=True, help="Load a server on this machine, and show rate and latencies."
)
@click.option(
    *("-n", "--requests", "requests"),
    type=click.IntRange(1, MAX_REQUESTS),
    metavar="N",
    help=f"With --bench: how many requests, at most {MAX_REQUESTS:,}. 100 by default.",
)
@click.option(
    *("-c", "--clients", "clients"),
    type=click.IntRange(1, MAX_CONCURRENCY),
    metavar="N",
    help="With --bench: how many connections. 1 by default.",
)
@click.option(
    *("-D", "--duration", "duration"),
    type=SECONDS,
    metavar="SECONDS",
    help="With --bench: send no more requests after this time.",
)
@click.option(
    "--yes",
    is_flag=True,
    help="With --bench: I may load this server, which is not on this machine.",
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the version and what is installed.",
)
@click.option("-L", "--location", is_flag=True, hidden=True, expose_value=False, callback=refuse)
@click.option("--compressed", is_flag=True, hidden=True, expose_value=False, callback=refuse)
@click.pass_context
def command(context: click.Context, /, **given: Any) -> NoReturn:
    """Send HTTP requests with the options of curl, and see where their time goes.

    The body goes to the standard output, everything else to the standard error. Redirects are not
    followed, cookies not stored, and content is not decoded: this is the transport.
    """
    options = to_options(context, given)
    from ._screen import Screen
    from ._session import Session

    screen = Screen(sys.stderr, is_silent=options.silent, shows_errors=options.show_error)
    code = Session(options, sys.stdout, screen).run()
    discard_what_is_buffered(code)
    context.exit(code)


def to_options(context: click.Context, given: dict[str, Any]) -> Options:
    """Return the options for the values that were given, which may exclude each other."""
    if not given["urls"]:
        raise click.UsageError("No URL was given. Try: httpcore2 https://www.example.com/", context)
    data = [*given.pop("data"), *given.pop("binary_data")]
    bodies = [bool(data), given["upload"] is not None, given["head"]]
    if sum(bodies) > 1:
        raise click.UsageError("Only one of -d or --data-binary, -T and -I is possible.", context)
    if given["key"] is not None and given["certificate"] is None:
        raise click.UsageError("--key needs --cert, the certificate for the key.", context)
    ipv4, ipv6 = given.pop("ipv4"), given.pop("ipv6")
    if ipv4 and ipv6:
        raise click.UsageError("Only one of -4 and -6 is possible.", context)
    versions = to_versions(context, given)
    short_m = given.pop("short_m")
    bench = to_bench_options(context, given, short_m)
    if bench is None and short_m is not None:
        given["max_time"] = short_m
    return Options(
        **given,
        **versions,
        bench=bench,
        data=b"&".join(data) if data else None,
        family=4 if ipv4 else 6 if ipv6 else 0,
    )


def to_versions(context: click.Context, given: dict[str, Any]) -> dict[str, Any]:
    """Return which versions of HTTP may be used; their options are removed from those that were given."""
    http11, http2, http2_only, http3, http3_only = (
        given.pop(name) for name in ("http11", "http2", "http2_only", "http3", "http3_only")
    )
    if http11 and (http2 or http2_only):
        raise click.UsageError("Only one of --http1.1 and --http2 is possible.", context)
    if http11 and http3:
        raise click.UsageError("Only one of --http1.1 and --http3 is possible.", context)
    if http3_only and (http11 or http2 or http2_only or http3):
        raise click.UsageError("--http3-only excludes the options for other versions.", context)
    may_use_http2 = True if http2 or http2_only else None
    return {
        "http1": not (http2_only or http3_only),
        "http2": False if http11 or http3_only else may_use_http2,
        "http3": http3 or http3_only,
    }


def to_bench_options(
    context: click.Context, given: dict[str, Any], short_m: float | None
) -> BenchOptions | None:
    """Return how to load a server, or `None`; its options are removed from those that were given."""
    is_bench, is_allowed = given.pop("bench"), given.pop("yes")
    requests, clients, duration = (given.pop(name) for name in ("requests", "clients", "duration"))
    if not is_bench:
        if is_allowed or any(each is not None for each in (requests, clients, duration)):
            raise click.UsageError("-n, -c, -D and --yes need --bench.", context)
        return None
    if len(given["urls"]) != 1:
        raise click.UsageError("--bench needs exactly one URL.", context)
    if given["upload"] == "-":
        raise click.UsageError("--bench cannot send the standard input more than once.", context)
    streams = 1 if short_m is None else int(short_m)
    connections = clients or 1
    if streams != (short_m or 1) or not 0 < streams * connections <= MAX_CONCURRENCY:
        raise click.UsageError(
            f"With --bench -m must be a whole number, and -c times -m at most {MAX_CONCURRENCY}.",
            context,
        )
    return BenchOptions(
        requests=requests or (100 if duration is None else MAX_REQUESTS),
        connections=connections,
        streams=streams,
        seconds=duration,
        is_allowed=is_allowed,
    )


def discard_what_is_buffered(code: int) -> None:
    """After a broken pipe, keep Python from writing to it again when it exits."""
    from ._failures import ExitCode

    stdout = sys.__stdout__
    if stdout is None or stdout is not sys.stdout or code != ExitCode.WRITE:
        return
    try:
        stdout.flush()
    except BrokenPipeError:
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
