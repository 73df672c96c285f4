"""Custom pools and connections, which a caller derives from the interfaces of the installed `httpcore2`."""

from __future__ import annotations

import importlib
from typing import Any

# Imported by name, so that a type checker does not miss names that one of the releases lacks.
httpcore2: Any = importlib.import_module("httpcore2")

CUSTOM_HEADER = (b"Custom", b"1")


class _Delegating:
    """Delegates the state of a connection to another one."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def info(self) -> Any:
        return self.inner.info()

    def can_handle_request(self, origin: Any) -> Any:
        return self.inner.can_handle_request(origin)

    def can_multiplex(self) -> Any:
        return self.inner.can_multiplex()

    def is_available(self) -> Any:
        return self.inner.is_available()

    def has_expired(self) -> Any:
        return self.inner.has_expired()

    def is_idle(self) -> Any:
        return self.inner.is_idle()

    def is_closed(self) -> Any:
        return self.inner.is_closed()

    def is_connected(self) -> Any:
        return self.inner.is_connected()


class _AsyncConnection(_Delegating, httpcore2.AsyncConnectionInterface):  # type: ignore[misc]
    async def handle_async_request(self, request: Any) -> Any:
        response = await self.inner.handle_async_request(request)
        response.headers.append(CUSTOM_HEADER)
        return response

    async def aclose(self) -> None:
        await self.inner.aclose()


class _Connection(_Delegating, httpcore2.ConnectionInterface):  # type: ignore[misc]
    def handle_request(self, request: Any) -> Any:
        response = self.inner.handle_request(request)
        response.headers.append(CUSTOM_HEADER)
        return response

    def close(self) -> None:
        self.inner.close()


class AsyncCustomPool(httpcore2.AsyncConnectionPool):  # type: ignore[misc]
    def create_connection(self, origin: Any) -> Any:
        return _AsyncConnection(super().create_connection(origin))


class CustomPool(httpcore2.ConnectionPool):  # type: ignore[misc]
    def create_connection(self, origin: Any) -> Any:
        return _Connection(super().create_connection(origin))


class _AsyncDerived(httpcore2.AsyncHTTPConnection):  # type: ignore[misc]
    async def handle_async_request(self, request: Any) -> Any:
        response = await super().handle_async_request(request)
        response.headers.append(CUSTOM_HEADER)
        return response


class _Derived(httpcore2.HTTPConnection):  # type: ignore[misc]
    def handle_request(self, request: Any) -> Any:
        response = super().handle_request(request)
        response.headers.append(CUSTOM_HEADER)
        return response


class AsyncDerivedPool(httpcore2.AsyncConnectionPool):  # type: ignore[misc]
    def create_connection(self, origin: Any) -> Any:
        return _AsyncDerived(origin)


class DerivedPool(httpcore2.ConnectionPool):  # type: ignore[misc]
    def create_connection(self, origin: Any) -> Any:
        return _Derived(origin)
