"""The hierarchy of exceptions, and the peer in their messages."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

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
    found = {
        name
        for name, value in vars(_exceptions).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert found == set(TREE)


@pytest.mark.parametrize(("name", "base"), TREE.items())
def test_an_exception_has_one_base(name: str, base: str) -> None:
    assert [parent.__name__ for parent in getattr(_exceptions, name).__bases__] == [base]


def pickled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
@pytest.mark.parametrize("name", TREE)
def test_an_exception_is_copied_with_its_message_and_its_notes(
    name: str, copied: Callable[[Any], Any]
) -> None:
    exc = getattr(_exceptions, name)("words")
    _exceptions.add_context(exc, "http://a:80")
    exc.add_note("a note")
    clone = copied(exc)
    assert type(clone) is type(exc)
    assert clone.args == exc.args
    assert clone.__notes__ == ["a note"]


def test_only_exceptions_of_httpcore2_get_a_context() -> None:
    exc = ValueError("words")
    _exceptions.add_context(exc, "http://a:80")
    assert exc.args == ("words",)
    assert not hasattr(exc, "__notes__")
