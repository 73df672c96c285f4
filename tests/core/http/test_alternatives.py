"""Which alternative of an origin is tried: what Alt-Svc says, how long it holds, and what follows a failure."""

from __future__ import annotations

import pytest

from httpcore2_core._http.alternatives import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MAX_ORIGINS,
    Alternative,
    AlternativeServices,
    parse,
)

SITE = (b"example.com", 443)
HOUR = 3600.0


def learned(value: bytes, now: float = 0.0) -> AlternativeServices:
    services = AlternativeServices()
    services.learn(SITE, [(b"Alt-Svc", value)], now)
    return services


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'h3=":443"', (Alternative(b"example.com", 443), 86400)),
        (b'h3=":8443"; ma=60', (Alternative(b"example.com", 8443), 60)),
        (b'h3="other.example.com:1"; persist=1; ma=9', (Alternative(b"other.example.com", 1), 9)),
        (b'h2="a:1", h3-29=":2", h3=":3"; MA="7"', (Alternative(b"example.com", 3), 7)),
        (b'h3="[::1]:443"', (Alternative(b"[::1]", 443), 86400)),
        (b'h3=":443"; ma=99999999999', (Alternative(b"example.com", 443), 30 * 86400)),
        (b'h3=":443"; ma=x', (Alternative(b"example.com", 443), 86400)),
        (b"clear", None),
        (b"", None),
        (b"h3", None),
        (b'h3="443"', (Alternative(b"example.com", 443), 86400)),
        (b'h3=":0"', None),
        (b'h3=":65536"', None),
        (b'h3=":x"', None),
        (b'h3="', None),
        (b'h2=":443"', None),
    ],
)
def test_the_first_usable_element_of_the_field_counts(
    value: bytes, expected: tuple[Alternative, int] | None
) -> None:
    assert parse(value, b"example.com") == expected


def test_an_alternative_is_used_until_it_expires() -> None:
    services = learned(b'h3=":443"; ma=60', now=100.0)
    assert services.find(SITE, 159.0) == Alternative(b"example.com", 443)
    assert services.find(SITE, 160.0) is None
    assert services.find(SITE, 100.0) is None, "what has expired is forgotten"
    assert services.find((b"other.example.com", 443), 100.0) is None


def test_a_field_replaces_the_one_before_and_no_field_changes_nothing() -> None:
    services = learned(b'h3=":443"')
    services.learn(SITE, [(b"server", b"x")], 0.0)
    assert services.find(SITE, 1.0) == Alternative(b"example.com", 443)
    services.learn(SITE, [(b"alt-svc", b'h3=":8443"')], 0.0)
    assert services.find(SITE, 1.0) == Alternative(b"example.com", 8443)
    services.learn(SITE, [(b"alt-svc", b"clear")], 0.0)
    assert services.find(SITE, 1.0) is None


def test_a_failed_alternative_is_left_alone_and_each_time_for_twice_as_long() -> None:
    services = learned(b'h3=":443"; ma=2592000')
    alternative = Alternative(b"example.com", 443)
    now = 0.0
    for pause in (FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE):
        services.failed(SITE, alternative, now)
        assert services.find(SITE, now + pause - 1) is None
        assert services.find(SITE, now + pause) == alternative
        now += pause
    for _ in range(40):
        services.failed(SITE, alternative, now)
    assert services.find(SITE, now + LONGEST_PAUSE - 1) is None
    assert services.find(SITE, now + LONGEST_PAUSE) == alternative
    services.succeeded(SITE, alternative)
    services.failed(SITE, alternative, now)
    assert services.find(SITE, now + FIRST_PAUSE) == alternative


def test_another_alternative_of_the_same_origin_has_not_failed() -> None:
    services = learned(b'h3=":443"')
    services.failed(SITE, Alternative(b"example.com", 443), 0.0)
    services.learn(SITE, [(b"alt-svc", b'h3=":8443"')], 0.0)
    assert services.find(SITE, 1.0) == Alternative(b"example.com", 8443)


def test_so_many_origins_are_remembered_and_none_after_the_pool_was_closed() -> None:
    services = AlternativeServices()
    for number in range(MAX_ORIGINS + 10):
        site = (b"host%d" % number, 443)
        services.learn(site, [(b"alt-svc", b'h3=":443"')], 0.0)
        services.failed(site, Alternative(b"x", 1), 0.0)
    assert services.find((b"host9", 443), 1.0) is None
    assert services.find((b"host10", 443), 1.0) is not None
    assert len(services._known) == len(services._failures) == MAX_ORIGINS
    services.forget()
    assert services.find((b"host10", 443), 1.0) is None
    assert not services._failures
