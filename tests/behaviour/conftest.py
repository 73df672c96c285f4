"""Fixtures of the tests of behaviour that both protocols share."""

from __future__ import annotations

import ssl

import pytest

from ..support.scripted_protocols import Protocol


@pytest.fixture
def protocol_tls(
    protocol: Protocol, server_tls: ssl.SSLContext, h2_server_tls: ssl.SSLContext
) -> ssl.SSLContext | None:
    """Return the SSL context of a server for the test's parameter `protocol`; `None` in clear text."""
    return protocol.server_tls(server_tls, h2_server_tls)
