"""Fixtures: the environments, and the servers that their jobs use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from ..support.real_proxies import Proxies
from ..support.real_servers import running_server
from .environments import Environment

Make = Callable[..., Environment]
Work = Callable[..., dict[str, str]]


@pytest.fixture(scope="session", autouse=True)
def _fresh_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use an empty cache: uv would install a cached wheel of an earlier build, which has the same name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run nginx in clear text, nginx with TLS and HTTP/2, and a SOCKS proxy; return their URLs as JSON for `job.py`."""
    folder = tmp_path_factory.mktemp("servers")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    certificate = folder / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    with ExitStack() as stack:
        urls = {"authority": str(folder / "authority.pem")}
        for name, given in (("plain", None), ("tls", certificate)):
            (folder / name).mkdir()
            urls[name] = stack.enter_context(
                running_server("nginx", folder / name, given, http2=given is not None)
            )
        proxies = stack.enter_context(Proxies(tmp_path_factory.mktemp, certificate, authority))
        urls["socks"] = f"socks5://127.0.0.1:{proxies['microsocks'].port}"
        yield json.dumps(urls)


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a function that creates an environment with the given requirements."""

    def make(python: str, *requirements: str) -> Environment:
        made = Environment(tmp_path_factory.getbasetemp() / f"environment-{python}", python)
        if requirements:
            made.install(*requirements)
        return made

    return make


@pytest.fixture
def work(servers: str) -> Work:
    """Return a function that runs all or some jobs of `job.py` in an environment, and returns the outcome of each."""

    def run(made: Environment, *jobs: str) -> dict[str, str]:
        script = Path(__file__).parent / "job.py"
        outcomes: dict[str, str] = json.loads(made.run(str(script), servers, *jobs))
        return outcomes

    return run
