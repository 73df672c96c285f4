"""The default TLS contexts, and the rules by which several threads share a context.

Rules:

- `ssl` and the certificates take some milliseconds, and are loaded once, for the first TLS connection.
- The protocols of a context are not set while a connection is made of it. Python releases the interpreter's lock for
  OpenSSL's `SSL_new`, which would copy a list that is freed meanwhile, and the ClientHello would contain other memory.
- A context may be used for several peers, each of which is offered protocols of its own, at the same time. So they are
  set under the same lock under which the connection is made.

Must not know: connections, the network.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock, RLock
from typing import TYPE_CHECKING

from .._distributions import missing
from .forks import call_in_children

if TYPE_CHECKING:
    import ssl

# The systems with a trust store that is not a file. Elsewhere OpenSSL reads the same authorities by itself, and
# truststore would read them for each connection.
_WITH_STORE = ("darwin", "win32")

_lock = Lock()
# Re-entrant, for a signal handler that sends a request while the lock is held.
_use_lock = RLock()
_contexts: dict[tuple[str, ...], ssl.SSLContext] = {}
# The arguments of `offering_protocols`. The arguments of a stream's `start_tls` are public, and have no protocols.
_offer: ContextVar[tuple[ssl.SSLContext, list[str]] | None] = ContextVar("offer", default=None)


def default_ssl_context(
    *, system_store: bool | None = None, _trust_env: bool = True
) -> ssl.SSLContext:
    """Make a TLS context that verifies the certificate and the name of the server.

    It trusts the certificates in the file or the folder that the environment variables `SSL_CERT_FILE` and
    `SSL_CERT_DIR` name. Without these, on macOS and Windows, the operating system verifies certificates with its trust
    store, if the extra `truststore` is installed. Otherwise OpenSSL verifies them, as strictly as curl does by default:
    it trusts the authorities of the system, and those of certifi, since some systems have none.

    Args:
        system_store: whether the trust store of the operating system verifies certificates (by truststore): `True` on
            all systems, `False` on none, `None` on macOS and Windows if truststore is installed.

    Returns:
        A new context, which the caller may change.

    Raises:
        FileNotFoundError: the file that `SSL_CERT_FILE` names does not exist.
        ssl.SSLError: the file has no certificate.
        TypeError: `system_store` is neither a bool nor `None`.
        ImportError: `system_store` is `True`, and truststore is not installed.

    Example:
        This context also verifies the form of authorities (RFC 5280), which those of many companies do not have.

        ```python
        import ssl

        import httpcore2

        context = httpcore2.default_ssl_context()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        with httpcore2.ConnectionPool(ssl_context=context) as http:
            http.request("GET", "https://www.example.com/")
        ```
    """
    import ssl

    if system_store is not None and not isinstance(system_store, bool):
        raise TypeError(
            f"system_store must be True, False or None, but got {type(system_store).__name__}."
        )
    if _trust_env:
        file = os.environ.get("SSL_CERT_FILE")
        folder = None if file else os.environ.get("SSL_CERT_DIR")
        if file or folder:
            context = ssl.create_default_context(cafile=file or None, capath=folder or None)
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            _require_close_notify(context)
            return context
    store = _system_store_context(system_store)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if store is None else store
    _require_close_notify(context)
    keys = os.environ.get("SSLKEYLOGFILE")
    if keys and _trust_env and not sys.flags.ignore_environment:
        # For programs that analyse traffic, as `ssl.create_default_context` does.
        context.keylog_filename = keys
    if store is not None:
        return context
    import certifi

    context.load_verify_locations(certifi.where())
    paths = ssl.get_default_verify_paths()
    system_file = paths.openssl_cafile if os.path.isfile(paths.openssl_cafile) else None
    system_folder = paths.openssl_capath if os.path.isdir(paths.openssl_capath) else None
    if system_file or system_folder:
        # The compiled-in paths: by default OpenSSL reads the environment.
        context.load_verify_locations(system_file, system_folder)
    else:
        context.load_default_certs()  # Windows has a store, and no files
    return context


def _system_store_context(system_store: bool | None) -> ssl.SSLContext | None:
    """Return a context that lets the operating system verify certificates; `None` for one of OpenSSL's own.

    Raises:
        ImportError: `system_store` is `True`, and truststore is not installed.
    """
    if system_store is False or (system_store is None and sys.platform not in _WITH_STORE):
        return None
    import ssl

    try:
        import truststore
    except ModuleNotFoundError:
        if system_store is None:
            return None
        purpose = "default_ssl_context(system_store=True)"
        raise ImportError(missing("truststore", "truststore", purpose)) from None
    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context


def _require_close_notify(context: ssl.SSLContext) -> None:
    """Require a close_notify. CPython up to 3.11.2 sets the option of OpenSSL 3 that does not."""
    import ssl

    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)


def shared_ssl_context(protocols: tuple[str, ...]) -> ssl.SSLContext:
    """Return the default context that offers `protocols` by ALPN."""
    with _lock:
        context = _contexts.get(protocols)
        if context is None:
            context = default_ssl_context()
            context.set_alpn_protocols(list(protocols))
            _contexts[protocols] = context
        return context


@contextmanager
def offering_protocols(context: ssl.SSLContext, protocols: Iterable[str]) -> Iterator[None]:
    """Let the connection that is made of `context` here offer `protocols` by ALPN.

    Another thread may set other protocols meanwhile, so `wrap_memory` sets them again. A stream of the caller's own,
    which does not call it, finds them set.
    """
    offered = list(protocols)
    with _use_lock:
        context.set_alpn_protocols(offered)
    token = _offer.set((context, offered))
    try:
        yield
    finally:
        _offer.reset(token)


def wrap_memory(
    context: ssl.SSLContext,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
    server_hostname: str | None,
) -> ssl.SSLObject:
    """Make the client's end of a TLS connection that works in memory, with the protocols of `offering_protocols`."""
    offer = _offer.get()
    with _use_lock:
        if offer is not None and offer[0] is context:
            context.set_alpn_protocols(offer[1])
        return context.wrap_bio(
            incoming, outgoing, server_side=False, server_hostname=server_hostname
        )


def _renew_locks() -> None:
    global _lock, _use_lock
    _lock = Lock()
    _use_lock = RLock()


# A thread that held a lock when the process forked does not run in the child, and can't release it.
call_in_children(_renew_locks)
