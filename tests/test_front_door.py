"""The front door: its names, and its errors for distributions that are not installed."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator

import pytest

import httpcore2


@pytest.fixture
def not_loaded() -> Iterator[None]:
    """Names that were loaded before are loaded again."""
    kept = {
        name: vars(httpcore2).pop(name) for name in httpcore2._SIBLINGS if name in vars(httpcore2)
    }
    yield
    for name in httpcore2._SIBLINGS:
        vars(httpcore2).pop(name, None)
    vars(httpcore2).update(kept)


@pytest.mark.usefixtures("not_loaded")
@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("AsyncIOBackend", "httpcore2_asyncio", "asyncio"),
        ("TrioBackend", "httpcore2_trio", "trio"),
        ("AnyIOBackend", "httpcore2_asyncio", "anyio"),
    ],
)
def test_a_backend_that_is_not_installed_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    backend = getattr(httpcore2, name)
    assert issubclass(backend, httpcore2.AsyncNetworkBackend)
    assert repr(backend) == f"<class 'httpcore2.{name}'>"
    with pytest.raises(ImportError, match=rf"pip install 'httpcore2\[{extra}\]'"):
        backend()


@pytest.mark.usefixtures("not_loaded")
@pytest.mark.parametrize("name", ["HTTP3Connection", "AsyncHTTP3Connection"])
def test_http3_that_is_not_installed_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, "httpcore2_http3", None)
    command = r"pip install 'httpcore2\[http3\]'"
    with pytest.raises(ImportError, match=command):
        getattr(httpcore2, name)()
    with pytest.raises(ImportError, match=f"http3=True needs .*{command}"):
        httpcore2.ConnectionPool(http3=True)


@pytest.mark.usefixtures("not_loaded")
@pytest.mark.parametrize("name", ["HTTP2Connection", "AsyncHTTP2Connection"])
def test_http2_that_is_not_installed_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, "httpcore2_http2", None)
    command = r"pip install 'httpcore2\[http2\]'"
    with pytest.raises(ImportError, match=command):
        getattr(httpcore2, name)(httpcore2.Origin(b"http", b"a", 80), httpcore2.MockStream([]))
    with pytest.raises(ImportError, match=f"http2=True needs .*{command}"):
        httpcore2.ConnectionPool(http2=True)


@pytest.mark.usefixtures("not_loaded")
@pytest.mark.parametrize(
    "name",
    ["AsyncIOBackend", "TrioBackend", "AnyIOBackend", "HTTP2Connection", "AsyncHTTP2Connection"],
)
def test_a_backend_is_loaded_on_first_use(name: str) -> None:
    assert name not in vars(httpcore2)
    assert getattr(httpcore2, name) is getattr(httpcore2, name)
    assert getattr(httpcore2, name).__module__ == "httpcore2"


def test_all_names_can_be_imported_at_once() -> None:
    names: dict[str, object] = {}
    builtins.exec("from httpcore2 import *", names)
    assert set(httpcore2.__all__) <= set(names)


def test_the_module_lists_its_public_names() -> None:
    assert dir(httpcore2) == sorted([*httpcore2.__all__, "__version__"])


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'httpcore2' has no attribute 'nothing'"):
        httpcore2.nothing  # noqa: B018
