"""The policy for the network: by option, configuration file and marker, in force from set-up to tear-down."""

from __future__ import annotations

import pytest

from .sessions import run

CONNECTING = """
def test_connecting():
    with httpcore2.ConnectionPool() as pool:
        pool.request("GET", "http://127.0.0.1:1/")
"""
REFUSED = "*The network is forbidden: no connection to 127.0.0.1:1 was opened. Use a fixture*"
TRIED = "*httpcore2_core._exceptions.ConnectError*"


@pytest.mark.parametrize(
    ("configuration", "arguments", "is_refused"),
    [
        ("", [], False),
        ("httpcore2_network = forbid", [], True),
        ("httpcore2_network = loopback", [], False),
        ("", ["--httpcore2-network=forbid"], True),
        ("httpcore2_network = forbid", ["--httpcore2-network=allow"], False),
    ],
)
def test_the_command_line_comes_before_the_configuration_file(
    configuration: str, arguments: list[str], is_refused: bool, pytester: pytest.Pytester
) -> None:
    result = run(pytester, CONNECTING, *arguments, configuration=configuration)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([REFUSED if is_refused else "*ConnectError*"])


def test_a_marker_comes_before_both(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        def request(url):
            with httpcore2.ConnectionPool() as pool:
                return pool.request("GET", url)


        def test_forbidden():
            with pytest.raises(AssertionError, match="connection to www.example.com:443"):
                request("https://www.example.com/")


        @pytest.mark.httpcore2_network("loopback")
        def test_loopback():
            with pytest.raises(httpcore2.ConnectError):
                request("http://127.0.0.1:1/")
            with pytest.raises(AssertionError, match="connection to 203.0.113.5:80"):
                request("http://203.0.113.5/")


        @pytest.mark.httpcore2_network("allow")
        def test_allowed():
            with pytest.raises(httpcore2.ConnectError):
                request("http://127.0.0.1:1/")
        """,
        "--strict-markers",
        configuration="httpcore2_network = forbid",
    )
    result.assert_outcomes(passed=3)


def test_scripts_and_the_server_of_the_test_stay_allowed(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        def test_script(httpcore2_pool, httpcore2_script):
            httpcore2_script.add(reply(200))
            assert httpcore2_pool.request("GET", "https://api.example/").status == 200


        def test_server(httpcore2_server, httpcore2_script):
            httpcore2_script.add(reply(200))
            with httpcore2.ConnectionPool() as pool:
                assert pool.request("GET", httpcore2_server.url).status == 200
                with pytest.raises(AssertionError, match="to 127.0.0.1:1 was"):
                    pool.request("GET", "http://127.0.0.1:1/")
        """,
        "--httpcore2-network=forbid",
    )
    result.assert_outcomes(passed=2)


def test_fixtures_of_all_scopes_are_kept_from_the_network(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        @pytest.fixture(scope="session")
        def token():
            with httpcore2.ConnectionPool() as pool:
                return pool.request("GET", "http://127.0.0.1:1/")


        @pytest.fixture
        def revoked():
            yield
            with httpcore2.ConnectionPool() as pool:
                return pool.request("DELETE", "http://127.0.0.1:1/")


        def test_set_up(token):
            pass


        def test_tear_down(revoked):
            pass
        """,
        "--httpcore2-network=forbid",
    )
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines([REFUSED, REFUSED])


def test_the_policy_ends_with_the_test(pytester: pytest.Pytester) -> None:
    result = run(pytester, CONNECTING, "--httpcore2-network=forbid")
    result.stdout.fnmatch_lines([REFUSED])
    result = run(pytester, CONNECTING)
    result.stdout.fnmatch_lines(["*ConnectError*"])


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        (
            '"offline"',
            '*The marker httpcore2_network of *::test_it is \'offline\'. It must be "allow", "loopback" or "forbid".',
        ),
        ("", "*The marker httpcore2_network of *::test_it needs one argument: *"),
        ('"allow", hosts=[]', "*The marker httpcore2_network of *::test_it needs one argument: *"),
    ],
)
def test_a_marker_that_is_wrong_ends_the_session_before_the_first_test(
    marker: str, message: str, pytester: pytest.Pytester
) -> None:
    result = run(
        pytester,
        f"""
        def test_first():
            pass

        @pytest.mark.httpcore2_network({marker})
        def test_it():
            pass
        """,
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    result.assert_outcomes()


def test_a_policy_that_does_not_exist_is_refused(pytester: pytest.Pytester) -> None:
    result = run(pytester, CONNECTING, configuration="httpcore2_network = none")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*httpcore2_network in *tox.ini is 'none'. It must be *"])
    result = run(pytester, CONNECTING, "--httpcore2-network=none")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_session_that_does_not_use_the_plugin_does_not_import_the_core(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_modules():
            assert "pytest_httpcore2" in sys.modules
            assert "httpcore2_core" not in sys.modules
        """
    )
    result = pytester.runpytest_subprocess("-p", "pytest_httpcore2", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
