"""The fixtures: one script for backends, pools and a server, checked when the test has passed."""

from __future__ import annotations

import inspect

import pytest

import pytest_httpcore2

from .sessions import run

FIXTURES = [name for name in pytest_httpcore2.__all__ if name.startswith("httpcore2_")]


def test_a_pool_replies_from_the_script_and_its_backend_records(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        def test_threads(httpcore2_pool, httpcore2_backend, httpcore2_script):
            httpcore2_script.add(reply(503), reply(200, b"fine"))
            assert httpcore2_pool.request("GET", "https://api.example/a").status == 503
            assert httpcore2_pool.request("GET", "https://api.example/b").content == b"fine"
            assert [request.target for request in httpcore2_script.requests] == [b"/a", b"/b"]
            (recording,) = httpcore2_backend.recordings
            assert recording.address == ("api.example", 443)
            assert recording.sent.startswith(b"GET /a HTTP/1.1")
        """,
    )
    result.assert_outcomes(passed=1)


def test_an_async_pool_works_on_every_event_loop_and_is_closed_without_one(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        import asyncio
        import trio
        import uvloop

        LOOPS = {"asyncio": asyncio.run, "trio": lambda coroutine: trio.run(lambda: coroutine), "uvloop": uvloop.run}
        pools = []


        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
        async def test_with_a_plugin(httpcore2_async_pool, httpcore2_async_backend, httpcore2_script):
            httpcore2_script.add(reply(200, b"fine"))
            response = await httpcore2_async_pool.request("GET", "https://api.example/")
            assert response.content == b"fine"
            assert httpcore2_async_backend.recordings[0].address == ("api.example", 443)
            pools.append(httpcore2_async_pool)


        @pytest.mark.parametrize("loop", LOOPS)
        def test_without_a_plugin(loop, httpcore2_async_pool, httpcore2_script):
            async def main():
                response = await httpcore2_async_pool.request("GET", "https://api.example/")
                assert response.content == b"fine"
                assert len(httpcore2_async_pool.connections) == 1

            httpcore2_script.add(reply(200, b"fine"))
            LOOPS[loop](main())
            pools.append(httpcore2_async_pool)


        def test_pools_are_closed():
            assert [pool.connections for pool in pools] == [[]] * 5
        """,
    )
    result.assert_outcomes(passed=6)


def test_a_server_replies_from_the_script_to_clients_of_any_kind(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        from urllib.request import urlopen


        def test_urllib(httpcore2_server, httpcore2_script):
            httpcore2_script.add(reply(200, b"fine"))
            with urlopen(httpcore2_server.url) as response:
                assert response.read() == b"fine"


        def test_recordings(httpcore2_server, httpcore2_script, httpcore2_recording_backend):
            httpcore2_script.add(reply(204))
            with httpcore2.ConnectionPool(network_backend=httpcore2_recording_backend) as pool:
                assert pool.request("GET", httpcore2_server.url).status == 204
            (recording,) = httpcore2_recording_backend.recordings
            assert recording.received.startswith(b"HTTP/1.1 204")


        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
        async def test_async_recordings(httpcore2_server, httpcore2_script, httpcore2_async_recording_backend):
            httpcore2_script.add(reply(204))
            backend = httpcore2_async_recording_backend
            async with httpcore2.AsyncConnectionPool(network_backend=backend) as pool:
                assert (await pool.request("GET", httpcore2_server.url)).status == 204
            assert backend.recordings[0].received.startswith(b"HTTP/1.1 204")
        """,
    )
    result.assert_outcomes(passed=4)


def test_a_reply_that_was_not_used_is_an_error_of_a_test_that_passed(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        def test_unused(httpcore2_script):
            httpcore2_script.add(reply(503))
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*Requests received: 0. These replies of the script were not used: *503 Service*"]
    )


def test_a_reply_that_was_not_used_is_no_error_of_a_test_that_ended_early(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        @pytest.fixture
        def broken(httpcore2_script):
            httpcore2_script.add(reply(503))
            raise RuntimeError


        def test_failed(httpcore2_script):
            httpcore2_script.add(reply(503))
            assert False


        def test_skipped(httpcore2_script):
            httpcore2_script.add(reply(503))
            pytest.skip("not here")


        def test_not_set_up(broken):
            pass
        """,
    )
    result.assert_outcomes(failed=1, skipped=1, errors=1)


def test_a_request_without_a_reply_is_an_error_even_if_the_code_under_test_caught_it(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        def test_caught(httpcore2_pool):
            try:
                httpcore2_pool.request("DELETE", "https://api.example/notes/1")
            except AssertionError:
                pass
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*no reply left for DELETE /notes/1 (request 1).*"])


def test_an_error_of_the_server_is_reported_once(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        def test_server(httpcore2_server, httpcore2_pool):
            with httpcore2.ConnectionPool() as pool, pytest.raises(httpcore2.RemoteProtocolError):
                pool.request("GET", httpcore2_server.url + "notes")
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*no reply left for GET /notes (request 1).*"])
    result.stdout.no_fnmatch_line("*ExceptionGroup*")


@pytest.mark.parametrize("name", FIXTURES)
def test_a_fixture_is_described_in_the_list_of_pytest(name: str, pytester: pytest.Pytester) -> None:
    docstring = inspect.getdoc(getattr(pytest_httpcore2, name))
    assert docstring and docstring.partition("\n")[0].endswith(("`", "."))
    result = run(pytester, "", "--fixtures")
    result.stdout.re_match_lines([rf"{name} -- .*"])
