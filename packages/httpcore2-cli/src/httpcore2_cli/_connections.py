"""Makes the pool for a run: TLS, proxy, protocol versions, and the addresses that it connects to.

Rules: what the options do not ask for is left to the pool's defaults, so that nothing is loaded that is not needed.
Must not know: requests, what is shown.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from httpcore2_core import NetworkBackend, Proxy, default_ssl_context

from ._failures import ExitCode, Failure
from ._options import Options
from ._routes import AsyncRoutedBackend, Route, RoutedBackend, TimedResolver
from ._runtimes import Client, Runtime

if TYPE_CHECKING:
    import ssl

PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
ANY_ADDRESS = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - it selects the family to connect from


def make_client(
    runtime: Runtime, options: Options, max_connections: int = 10
) -> tuple[Client, TimedResolver]:
    """Make the pool for a run, and its resolver.

    Raises:
        Failure: a file, an address or a package that an option names is missing or malformed, or HTTP/3 is the only
            version, and can't be used.
    """
    problem = http3_problem(options)
    if problem is not None and options.is_http3_only:
        raise Failure(ExitCode.USAGE, f"--http3-only is not possible: {problem}.")
    settings: dict[str, Any] = {
        "max_connections": max_connections,
        "http1": options.http1,
        "http2": has_http2() if options.http2 is None else options.http2,
        "http3": options.http3 and problem is None,
        "uds": options.unix_socket,
        "proxy": make_proxy(options),
        "ssl_context": _ssl_context(options),
        **_local_end(options),
    }
    try:
        route = Route(options.connect_to, options.resolve)
        resolver = TimedResolver(route)
        if options.connect_to:
            # The backend resolves the hosts that it connects to.
            backend = runtime.backend()
            kind = RoutedBackend if isinstance(backend, NetworkBackend) else AsyncRoutedBackend
            settings["network_backend"] = kind(backend, route)
        elif options.unix_socket is None:
            settings["resolver"] = resolver
        return runtime.client(**settings), resolver
    except (ImportError, ValueError) as exc:
        raise Failure(ExitCode.USAGE, str(exc)) from exc


def http3_problem(options: Options) -> str | None:
    """Return why HTTP/3 was asked for and can't be used; `None` if it can, or was not asked for."""
    if not options.http3:
        return None
    if options.proxy:
        return "HTTP/3 is not used through a proxy (-x)"
    if options.unix_socket is not None:
        return "HTTP/3 needs UDP, which a unix socket (--unix-socket) does not carry"
    if options.certificate is not None:
        return "HTTP/3 can't send a client certificate (--cert)"
    return None


def has_http2() -> bool:
    """Return whether HTTP/2 is installed."""
    return find_spec("httpcore2_http2") is not None


def make_proxy(options: Options) -> Proxy | None:
    """Return the proxy of -x, or `None`.

    Raises:
        Failure: its URL is malformed, or of another kind.
    """
    if not options.proxy:
        return None
    text = options.proxy if "://" in options.proxy else f"http://{options.proxy}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 1080)
    except ValueError as exc:
        raise Failure(
            ExitCode.PROXY_NOT_RESOLVED, f"The URL of the proxy is malformed: {exc}."
        ) from exc
    if parts.scheme not in PROXY_SCHEMES or not host:
        known = ", ".join(PROXY_SCHEMES)
        message = f"The URL of the proxy needs a host, and one of the schemes {known}."
        raise Failure(ExitCode.PROXY_NOT_RESOLVED, message)
    auth = options.proxy_user
    if auth is None and parts.username is not None:
        auth = (unquote(parts.username), unquote(parts.password or ""))
    return Proxy(f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}", auth=auth)


def _ssl_context(options: Options) -> ssl.SSLContext | None:
    if not (options.insecure or options.trust_file or options.certificate):
        return None
    import ssl

    context = default_ssl_context() if options.trust_file is None else _trusting(options.trust_file)
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.certificate is not None:
        file, password = options.certificate
        try:
            # Without a password OpenSSL would ask for it on the terminal.
            context.load_cert_chain(file, options.key, password or "")
        except OSError as exc:
            message = f"The client certificate {file} cannot be used: {exc.strerror or exc}."
            hint = (
                "The file needs the certificate and its key in PEM; --key names a key of its own."
            )
            raise Failure(ExitCode.CLIENT_CERTIFICATE, message, hint) from exc
    return context


def _trusting(file: str) -> ssl.SSLContext:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(file)
    except OSError as exc:
        message = f"The certificates of --cacert {file} cannot be used: {exc.strerror or exc}."
        raise Failure(ExitCode.TRUST_FILE, message) from exc
    return context


def _local_end(options: Options) -> dict[str, Any]:
    """Return the options of the pool for --interface, -4 and -6."""
    name = options.interface
    family = ANY_ADDRESS.get(options.family)
    if name is None:
        return {"local_address": family}
    if name.startswith("host!"):
        return {"local_address": name.removeprefix("host!")}
    import socket

    interface = name.removeprefix("if!")
    if interface in (each for _, each in socket.if_nameindex()):
        bind = getattr(socket, "SO_BINDTODEVICE", None)
        if bind is None:
            hint = f"Give --interface an address of {interface}."
            message = "This platform cannot bind a connection to an interface by its name."
            raise Failure(ExitCode.USAGE, message, hint)
        option = (socket.SOL_SOCKET, bind, interface.encode())
        return {"local_address": family, "socket_options": [option]}
    if name.startswith("if!"):
        raise Failure(ExitCode.NOT_CONNECTED, f"There is no network interface {interface!r}.")
    return {"local_address": name}
