"""Extras: each, alone and in pairs, installs exactly its dependencies; an error names the command for a missing one."""

from __future__ import annotations

import re
from itertools import combinations, product

import pytest

from .conftest import Make, Work
from .environments import DISTRIBUTIONS, IN_ALL, OWN_PYTHON, PYTHONS, each_python, version

CORE = {"httpcore2-core", "certifi", "h11"}
TRIO = {"trio", "attrs", "idna", "outcome", "sniffio", "sortedcontainers"}
ANYIO = {"anyio", "idna", "typing-extensions"}
HTTP2 = {"h2", "hpack", "hyperframe"}
CLI = {"click", "markdown-it-py", "mdurl", "pygments", "rich"}
PYTEST = {"pytest", "iniconfig", "packaging", "pluggy", "pygments"}
OPENTELEMETRY = {
    "httpcore2-opentelemetry",
    "opentelemetry-api",
    "opentelemetry-instrumentation",
    "opentelemetry-semantic-conventions",
    "packaging",
    "typing-extensions",
    "wrapt",
}

# The distributions that each extra adds to `httpcore2`, including indirect dependencies.
EXTRAS = {
    "asyncio": {"httpcore2-asyncio"},
    "anyio": {"httpcore2-asyncio", *ANYIO},
    "trio": {"httpcore2-trio", *TRIO},
    "http2": {"httpcore2-http2", *HTTP2},
    "http3": {"httpcore2-http3", "qh3"},
    "socks": {"socksio"},
    "truststore": {"truststore"},
    "cli": {"httpcore2-cli", *CLI},
}
# Those that users import by their own names, so that no error of httpcore2 is about them.
IMPORTED = {"opentelemetry": OPENTELEMETRY}
SETS = {
    "httpcore2": {"httpcore2"},
    **{f"httpcore2[{name}]": {"httpcore2", *added} for name, added in (EXTRAS | IMPORTED).items()},
    "httpcore2[all]": {"httpcore2"}.union(*EXTRAS.values(), *IMPORTED.values()),
    "httpcore2-core": set(),
    "httpcore2-core[socks]": {"socksio"},
    "httpcore2-core[truststore]": {"truststore"},
    "httpcore2-asyncio": {"httpcore2-asyncio"},
    "httpcore2-asyncio[anyio]": {"httpcore2-asyncio", *ANYIO},
    "httpcore2-trio": {"httpcore2-trio", *TRIO},
    "httpcore2-http2": {"httpcore2-http2", *HTTP2},
    "httpcore2-http3": {"httpcore2-http3", "qh3"},
    "httpcore2-cli": {"httpcore2-cli", *CLI},
    "pytest-httpcore2": {"pytest-httpcore2", *PYTEST},
    "httpcore2-opentelemetry": OPENTELEMETRY,
}
PAIRS = {
    f"httpcore2[{','.join(names)}]": {"httpcore2"}.union(*(EXTRAS[name] for name in names))
    for names in combinations(EXTRAS, 2)
}
INSTALLED = {requirement: CORE | names for requirement, names in (SETS | PAIRS).items()}

# The distributions that each job needs beyond the core.
NEEDS = {
    "threads": set[str](),
    "asyncio": {"httpcore2-asyncio"},
    "anyio": {"httpcore2-asyncio", "anyio"},
    "trio": {"httpcore2-trio"},
    "http2": {"httpcore2-http2"},
    "http3": {"httpcore2-http3"},
    "socks": {"socksio"},
    "truststore": {"truststore"},
    "cli": {"httpcore2-cli"},
}


def command_in(text: str) -> str:
    """Return the command in the message of an error."""
    found = re.search(r"Run: (pip install '[^']+')$", text)
    assert found, text
    return found[1]


@pytest.mark.parametrize(
    ("requirement", "python"),
    # What a pair installs does not depend on the Python.
    [*product(SETS, PYTHONS), *product(PAIRS, [OWN_PYTHON])],
)
def test_a_requirement_installs_exactly_its_dependencies_and_works(
    requirement: str, python: str, environment: Make, work: Work
) -> None:
    made = environment(python, f"{requirement}=={version()}")
    installed = set(made.distributions())
    assert installed == INSTALLED[requirement]
    assert made.ours() == installed & set(DISTRIBUTIONS)
    made.check()
    # Without the front door a missing backend is only detected by the running event loop.
    jobs = [
        job
        for job, needs in NEEDS.items()
        if needs <= installed
        or "httpcore2" in installed
        or job in ("asyncio", "http2", "http3", "socks")
    ]
    for job, outcome in work(made, *jobs).items():
        if NEEDS[job] <= installed:
            assert outcome == "done", job
        else:
            assert command_in(outcome) == f"pip install 'httpcore2[{job}]'"


@each_python
def test_a_missing_backend_for_the_running_event_loop_is_named_with_the_command_to_install_it(
    python: str, environment: Make, work: Work
) -> None:
    made = environment(python, f"httpcore2=={version()}", "trio", "anyio", "h2")
    outcomes = work(made, *EXTRAS)
    assert outcomes["trio"].startswith("Running under trio needs")
    assert {job: command_in(outcome) for job, outcome in outcomes.items()} == {
        job: f"pip install 'httpcore2[{job}]'" for job in EXTRAS
    }


@each_python
def test_the_command_in_the_error_installs_the_missing_distribution(
    python: str, environment: Make, work: Work
) -> None:
    made = environment(python, f"httpcore2=={version()}", "pip")
    for job in EXTRAS:
        made.shell(command_in(work(made, job)[job]))
        assert work(made, job)[job] == "done"
    made.shell("pip check")
    assert set(made.distributions()) == CORE.union({"httpcore2", "pip"}, *EXTRAS.values())


SIBLINGS = {
    "httpcore2-asyncio": {"asyncio", "anyio"},
    "httpcore2-trio": {"trio"},
    "httpcore2-http2": {"http2"},
    "httpcore2-http3": {"http3"},
    "httpcore2-cli": {"cli"},
}


def test_uninstalling_a_distribution_leaves_the_others_intact(
    environment: Make, work: Work
) -> None:
    made = environment(OWN_PYTHON, f"httpcore2[all]=={version()}")
    for name, jobs in SIBLINGS.items():
        made.uninstall(name)
        assert made.ours() == set(IN_ALL) - {name}
        for job, outcome in work(made).items():
            if job in jobs:
                assert command_in(outcome) == f"pip install 'httpcore2[{job}]'"
            else:
                assert outcome == "done", job
        made.install(f"{name}=={version()}")
    made.uninstall("httpcore2")
    assert set(work(made).values()) == {"done"}
