"""The types of `extensions`: type checkers accept them, and plain dictionaries, where extensions are given."""

from __future__ import annotations

from typing import Any

import httpcore2
from httpcore2_core._http.timeouts import Timeouts

from .fake_runtime import FakeRuntime


def test_a_typed_dictionary_is_an_extension() -> None:
    timeout: httpcore2.TimeoutExtension = {"read": 2.0, "total": None}
    extensions: httpcore2.RequestExtensions = {"timeout": timeout, "target": b"*"}
    request = httpcore2.Request("OPTIONS", "http://example.com/", extensions=extensions)
    assert request.url.target == b"*"
    assert Timeouts.of(request.extensions, FakeRuntime()).for_read() == 2.0


def test_a_plain_dictionary_is_an_extension() -> None:
    plain: dict[str, Any] = {"timeout": {"read": 2.0}, "own": 1}
    request = httpcore2.Request("GET", "http://example.com/", extensions=plain)
    assert request.extensions is plain
    literal = httpcore2.Request("GET", "http://example.com/", extensions={"own": 1})
    assert literal.extensions["own"] == 1
    given: httpcore2.ResponseExtensions = {"http_version": b"HTTP/1.1"}
    assert httpcore2.Response(200, extensions=given).extensions["http_version"] == b"HTTP/1.1"


def test_no_key_is_required() -> None:
    for extension in (
        httpcore2.RequestExtensions,
        httpcore2.ResponseExtensions,
        httpcore2.TimeoutExtension,
    ):
        assert set(extension.__annotations__) == extension.__optional_keys__
