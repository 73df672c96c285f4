"""Writes `docs/compatibility.md` and `docs/identical.md` from a comparison.

Must not know: how the releases were compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .compare import PRIVATE, Comparison, Difference, Facts

EXAMPLES = 3
WIDTH = 160

INTRODUCTION = """\
# Compatibility with 2.16.2

httpcore2 3.0.0 is a new implementation behind the public interface of the published 2.16.2. The command
`scripts/hatch run parity:write` writes this page. It inspects both releases, runs the same cases on both against the
same scripted servers, on threads, asyncio and trio, and compares the results. `scripts/hatch run parity:check` fails if
the page is out of date, or if a difference has no reason. [Identical to 2.16.2](identical.md) lists everything else.

Additions are not compared: new names, and `peer_address` and `local_address` in the extensions of responses.

Facts that depend on the system are not compared. `default_ssl_context()` trusts the system's authorities, as 2.16.2
does, and additionally those of certifi, so that it works on systems without any. On macOS and Windows 2.16.2 lets the
system verify certificates (with truststore); for that, install the extra `truststore`.
"""


IDENTICAL = """\
# Identical to 2.16.2

The names, members and trace events that httpcore2 3.0.0 has in common with the published 2.16.2, in all facts that are
compared. [Compatibility with 2.16.2](compatibility.md) lists the others, and says how the two are compared.
"""


def pages(result: Comparison, ours: Facts) -> dict[str, str]:
    """Return the text of each page, by its file in `docs`."""
    different = [
        INTRODUCTION,
        *_summary(result),
        *_different(result),
        *_private(result, ours),
        *_additional(result),
    ]
    return {
        "compatibility.md": "\n".join(different).rstrip() + "\n",
        "identical.md": "\n".join([IDENTICAL, *_identical(result, ours)]),
    }


def _summary(result: Comparison) -> Iterator[str]:
    yield "| facts about | identical | different |"
    yield "|---|--:|--:|"
    for section, identical in result.identical.items():
        differing = sum(
            difference.section == section for _, found in result.different for difference in found
        )
        yield f"| {section} | {identical} | {differing or ''} |"
    yield ""


PRIVATE_MODULES = """\
## Private modules

Test kits patch classes in the private modules of 2.16.2, and guards against forged requests derive from the backends
there. So these modules exist here, too. Each is loaded at its first import, and exports the classes that are in use. A
name that a module of 2.16.2 only imports from another one is in that other one only. The following patches have the
same effect as in 2.16.2:

- patches of `handle_request` and `handle_async_request` on the classes of pools, for every request: those of a client
  library, of `pool.request`, `pool.stream`, and `httpcore2.request`; and on `HTTPConnection` and `AsyncHTTPConnection`,
  for every request on a connection that was made after the patch;
- patches of `connect_tcp` and `connect_unix_socket` on `SyncBackend`, `AutoBackend`, `TrioBackend`, and for asyncio on
  `AnyIOBackend` and on `AsyncIOBackend`, for every later connection of pools without a backend of their own;
- `pool._network_backend`, wrapped or replaced, for every later connection.

Patches of the methods of `HTTP11Connection`, `HTTP2Connection`, their async counterparts and streams have no effect
within a pool. Neither has the replacement of one of these classes by another: patch its method, or pass it to the pool.
"""


def _private(result: Comparison, ours: Facts) -> Iterator[str]:
    yield PRIVATE_MODULES
    missing = [
        each.item for _, found in result.different for each in found if each.section == PRIVATE
    ]
    added = {found.item for found in result.additional}
    modules: dict[str, tuple[list[str], list[str]]] = {}
    for names, items in enumerate((ours[PRIVATE].keys() - added, missing)):
        for item in sorted(items):
            module, _, name = item.partition(": ")
            modules.setdefault(module, ([], []))[names].append(_code(name))
    yield "| `httpcore2.` | there | missing |"
    yield "|---|---|---|"
    for module, (there, lacking) in sorted(modules.items()):
        yield f"| {_code(module)} | {', '.join(there)} | {', '.join(lacking)} |"
    yield ""


def _different(result: Comparison) -> Iterator[str]:
    yield "## Different"
    yield ""
    for reason, found in result.different:
        if found[0].section == PRIVATE:
            continue  # these are in another section
        yield f"### {reason.title}"
        yield ""
        yield reason.explanation
        yield ""
        yield "| | 2.16.2 | 3.0.0 |"
        yield "|---|---|---|"
        for difference in _examples(found):
            where = f" ({', '.join(difference.runtimes)})" if difference.runtimes else ""
            before, after = _trim(difference.published, difference.ours)
            yield f"| {difference.section}: {_code(difference.item)}{where} | {before} | {after} |"
        if len(found) > EXAMPLES:
            yield ""
            yield f"And {len(found) - EXAMPLES} more like these."
        yield ""


def _examples(found: Sequence[Difference]) -> list[Difference]:
    """Return the shortest differences: one of each section first, then others."""
    by_length = sorted(found, key=lambda each: (len(each.item), found.index(each)))
    firsts = {each.section: each for each in reversed(by_length)}
    chosen = [each for each in found if firsts[each.section] is each]
    return (chosen + [each for each in by_length if each not in chosen])[:EXAMPLES]


def _trim(before: str | None, after: str | None) -> tuple[str, str]:
    """Omit the words that two long texts share at their start and end."""
    if before is None or after is None or len(before) + len(after) < WIDTH:
        return _code(before), _code(after)
    words, others = before.split(" "), after.split(" ")
    start = _common(words, others)
    words, others = words[start:], others[start:]
    end = _common(words[::-1], others[::-1])
    before_it, after_it = ["…"] if start else [], ["…"] if end else []
    first, second = (
        _code(" ".join([*before_it, *part[: len(part) - end], *after_it]))
        for part in (words, others)
    )
    return first, second


def _common(words: list[str], others: list[str]) -> int:
    """Return the number of equal words at the start of both."""
    count = 0
    for word, other in zip(words, others, strict=False):
        if word != other:
            break
        count += 1
    return count


def _additional(result: Comparison) -> Iterator[str]:
    yield "## Additional"
    yield ""
    names = [found.item for found in result.additional if found.section == "Names"]
    members: dict[str, list[str]] = {}
    for found in result.additional:
        owner, _, member = found.item.rpartition(".")
        is_inside = owner.endswith("Connection") or member.startswith("_")
        if found.section == "Members" and owner not in names and not is_inside:
            members.setdefault(owner, []).append(member)
    yield f"Names: {', '.join(map(_code, names))}."
    yield ""
    yield "Members:"
    yield ""
    for owner, added in members.items():
        yield f"- {_code(owner)}: {', '.join(map(_code, added))}"
    yield ""
    yield "Connections have further members, which their pool uses."
    yield ""


def _identical(result: Comparison, ours: Facts) -> Iterator[str]:
    yield "## Names"
    yield ""
    added = {found.item for found in result.additional}
    members: dict[str, list[str]] = {name: [] for name in ours["Names"] if name not in added}
    for item in ours["Members"]:
        owner, _, member = item.rpartition(".")
        if owner in members and item not in added:
            members[owner].append(member)
    for name, its in members.items():
        yield f"- {_code(name)}" + (f": {', '.join(map(_code, its))}" if its else "")
    yield ""
    yield "## Trace events and log records"
    yield ""
    yield "Those of these phases, with their payloads:"
    yield ""
    phases = {item.partition(",")[0] for item in ours["Payloads of trace events"]}
    names = sorted({phase.rpartition(".")[0] for phase in phases})
    yield ", ".join(map(_code, names)) + "."
    yield ""


def _code(text: str | None) -> str:
    """Format a text as code within a table."""
    if text is None:
        return "—"
    if len(text) > 2 * WIDTH:
        text = f"{text[: 2 * WIDTH - 1]}…"
    text = text.replace("\r", "\\r").replace("\n", "\\n").replace("|", "\\|")
    text = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
    if not text:
        return "(nothing)"
    fence = "``" if "`" in text else "`"
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"
