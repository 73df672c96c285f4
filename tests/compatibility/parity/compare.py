"""Compares two collections of facts, and assigns a reason to each difference.

Must not know: how the facts were collected, how they are presented.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Facts = dict[str, dict[str, dict[str, str]]]

PRIVATE = "Private modules"

INSPECTED = ("Names", "Base classes", "Members", "Signatures", "Types", "Attributes", PRIVATE)
"""Sections about the public surface. An addition of this release is not a difference for callers of the other one."""


@dataclass(frozen=True)
class Difference:
    """A fact that differs.

    Attributes:
        section: the section of the fact.
        item: its item.
        published: the text of the published release; `None` if that lacks the item.
        ours: the text of this release; `None` if this lacks the item.
        runtimes: the runtimes on which it differs; empty if it differs on all.
    """

    section: str
    item: str
    published: str | None
    ours: str | None
    runtimes: tuple[str, ...]

    @property
    def is_additional(self) -> bool:
        return self.published is None and self.section in INSPECTED


@dataclass(frozen=True)
class Reason:
    """The reason of some differences. A difference is covered if each pattern matches somewhere in its text.

    Attributes:
        title: the difference, in a few words.
        explanation: why it is intended.
        section: the names of the sections, separated by `|`.
        item, published, ours: the patterns for these attributes of the difference.
        since: the first version of Python on which there is a difference.
    """

    title: str
    explanation: str
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
    """The result of a comparison.

    Attributes:
        identical: the number of identical facts, by section.
        additional: the facts about the surface that only this release has.
        different: the differences by their reason, in the order of the table.
        unexplained: the differences without a reason.
        unused: the reasons without a difference.
    """

    identical: dict[str, int] = field(default_factory=dict)
    additional: list[Difference] = field(default_factory=list)
    different: list[tuple[Reason, list[Difference]]] = field(default_factory=list)
    unexplained: list[Difference] = field(default_factory=list)
    unused: list[Reason] = field(default_factory=list)


def differences(published: Facts, ours: Facts, section: str) -> Iterator[Difference | None]:
    """Yield `None` for each identical fact of a section, else the difference, with equal runtimes merged."""
    left, right = published.get(section, {}), ours.get(section, {})
    for item in dict.fromkeys((*left, *right)):
        there, here = left.get(item, {}), right.get(item, {})
        found: dict[tuple[str | None, str | None], list[str]] = {}
        all_runtimes = dict.fromkeys((*there, *here))
        for runtime in all_runtimes:
            pair = there.get(runtime), here.get(runtime)
            if pair[0] == pair[1]:
                yield None
            else:
                found.setdefault(pair, []).append(runtime)
        for (before, after), runtimes in found.items():
            where = () if len(runtimes) == len(all_runtimes) else tuple(runtimes)
            yield Difference(section, item, before, after, where)


def compare(published: Facts, ours: Facts, reasons: Sequence[Reason]) -> Comparison:
    """Compare, and assign to each difference the first reason that covers it."""
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
