"""What two collections of facts have in common, and in what they differ; and why.

Must not know: how the facts were found, how they are shown.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Facts = dict[str, dict[str, dict[str, str]]]

PRIVATE = "Private modules"

BY_LOOKING = ("Names", "Base classes", "Members", "Signatures", "Types", "Attributes", PRIVATE)
"""Sections about what there is. What only this release has is of no concern to callers of the other."""


@dataclass(frozen=True)
class Difference:
    """One fact that is not the same; `None` where a release has nothing to say.

    Attributes:
        runtimes: where it is so; empty if that is everywhere.
    """

    section: str
    item: str
    published: str | None
    ours: str | None
    runtimes: tuple[str, ...]

    @property
    def is_additional(self) -> bool:
        return self.published is None and self.section in BY_LOOKING


@dataclass(frozen=True)
class Reason:
    """Why some differences are right. All patterns given must be found, in any part of the text.

    Attributes:
        what: the difference, in few words.
        why: what speaks for it.
        section: the names of the sections, with `|` in between.
        item, published, ours: patterns.
        since: the version of Python from which on there is a difference.
    """

    what: str
    why: str
    section: str
    item: str = ""
    published: str = ""
    ours: str = ""
    since: tuple[int, int] = (3, 11)

    def covers(self, difference: Difference) -> bool:
        return difference.section in self.section.split("|") and all(
            re.search(pattern, str(text), re.DOTALL)
            for pattern, text in (
                (self.item, difference.item),
                (self.published, difference.published),
                (self.ours, difference.ours),
            )
        )


@dataclass
class Comparison:
    """The outcome.

    Attributes:
        identical: how many facts are the same, by section.
        additional: what only this release has.
        different: the differences by their reason, in the order of the table.
        unexplained: those that have none.
        unused: reasons for nothing.
    """

    identical: dict[str, int] = field(default_factory=dict)
    additional: list[Difference] = field(default_factory=list)
    different: list[tuple[Reason, list[Difference]]] = field(default_factory=list)
    unexplained: list[Difference] = field(default_factory=list)
    unused: list[Reason] = field(default_factory=list)


def differences(published: Facts, ours: Facts, section: str) -> Iterator[Difference | None]:
    """Give each fact of a section: `None` if it is the same, else what differs, the runtimes taken together."""
    left, right = published.get(section, {}), ours.get(section, {})
    for item in dict.fromkeys((*left, *right)):
        there, here = left.get(item, {}), right.get(item, {})
        found: dict[tuple[str | None, str | None], list[str]] = {}
        played = dict.fromkeys((*there, *here))
        for runtime in played:
            pair = there.get(runtime), here.get(runtime)
            if pair[0] == pair[1]:
                yield None
            else:
                found.setdefault(pair, []).append(runtime)
        for (before, after), runtimes in found.items():
            where = () if len(runtimes) == len(played) else tuple(runtimes)
            yield Difference(section, item, before, after, where)


def compare(published: Facts, ours: Facts, reasons: Sequence[Reason]) -> Comparison:
    """Compare, and look each difference up in the table of reasons: the first that covers it counts."""
    result = Comparison()
    explained: dict[Reason, list[Difference]] = {reason: [] for reason in reasons}
    for section in dict.fromkeys((*published, *ours)):
        result.identical[section] = 0
        for difference in differences(published, ours, section):
            if difference is None:
                result.identical[section] += 1
            elif difference.is_additional:
                result.additional.append(difference)
            else:
                for reason in reasons:
                    if reason.covers(difference):
                        explained[reason].append(difference)
                        break
                else:
                    result.unexplained.append(difference)
    result.different = [(reason, found) for reason, found in explained.items() if found]
    result.unused = [
        reason
        for reason, found in explained.items()
        if not found and reason.since <= sys.version_info
    ]
    return result
