"""The tree of exceptions."""

from __future__ import annotations

import pytest

from httpcore2_core import _exceptions

TREE = {
    "ConnectionNotAvailable": "Exception",
    "ProxyError": "Exception",
    "UnsupportedProtocol": "Exception",
    "ProtocolError": "Exception",
    "RemoteProtocolError": "ProtocolError",
    "LocalProtocolError": "ProtocolError",
    "TimeoutException": "Exception",
    "PoolTimeout": "TimeoutException",
    "ConnectTimeout": "TimeoutException",
    "ReadTimeout": "TimeoutException",
    "WriteTimeout": "TimeoutException",
    "NetworkError": "Exception",
    "ConnectError": "NetworkError",
    "ReadError": "NetworkError",
    "WriteError": "NetworkError",
}


def test_every_exception_is_in_the_tree() -> None:
    found = {name for name, value in vars(_exceptions).items() if isinstance(value, type)}
    assert found == set(TREE)


@pytest.mark.parametrize(("name", "base"), TREE.items())
def test_an_exception_has_one_base(name: str, base: str) -> None:
    assert [parent.__name__ for parent in getattr(_exceptions, name).__bases__] == [base]
