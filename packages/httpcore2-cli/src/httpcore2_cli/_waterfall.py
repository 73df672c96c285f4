"""Draws the phases of a transfer as bars below each other, after what is known of its connection.

Rules: a window that is too narrow for bars gets the figures alone. Plain text is ASCII. Text from the network is
escaped.
Must not know: where it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from rich.text import Text

from ._report import tls_facts
from ._terminal import escape
from ._timeline import Phase, Span
from ._transfer import Transfer
from ._verbose import certificate_lines, shown_address

STYLES = {
    Phase.QUEUED: "bright_black",
    Phase.DNS: "cyan",
    Phase.QUIC: "bright_green",
    Phase.TCP: "green",
    Phase.PROXY: "magenta",
    Phase.TLS: "yellow",
    Phase.SEND: "blue",
    Phase.WAIT: "red",
    Phase.DOWNLOAD: "bright_blue",
}

_LABEL = 9
_FIGURE = 12
_LEAST_BAR = 10
"""Columns that a bar needs."""

_EIGHTHS = " ▏▎▍▌▋▊▉"


class Waterfall:
    """Draws transfers.

    Args:
        width: the columns of the window.
        is_plain: whether it gets ASCII without styles.
        proxy: the URL of the proxy without credentials, or `None`.
    """

    def __init__(self, width: int, is_plain: bool, proxy: str | None = None) -> None:
        self._width = width
        self._is_plain = is_plain
        self._proxy = proxy

    def lines(self, transfer: Transfer) -> list[Text]:
        """Return the lines for a transfer."""
        url = transfer.request.url
        title = f"{escape(transfer.request.method)} {escape(bytes(url))}"
        lines = [self._line(title, "bold")]
        lines += [self._pair(name, value) for name, value in self._facts(transfer)]
        timeline = transfer.timeline
        total = timeline.total
        for phase, span in timeline.spans.items():
            lines.append(self._phase(phase, span, total))
        if timeline.unfinished is not None:
            lines.append(self._phase(timeline.current, timeline.unfinished, total, " failed"))
        lines.append(self._line(f"{'total':{_LABEL}}{figure(timeline.total)}", "bold"))
        return lines

    def saving(self, transfers: Sequence[Transfer]) -> list[Text]:
        """Return a line on the time that reuse saved, if one of these opened a connection and others reused it."""
        fine = [each for each in transfers if each.failure is None]
        reused = [each.timeline.total for each in fine if each.timeline.is_reused]
        opened = [each.timeline.total for each in fine if not each.timeline.is_reused]
        if not (reused and opened):
            return []
        first, later = opened[0], median(reused)
        saved = first - later
        new, old = figure(first).strip(), figure(later).strip()
        text = f"new {new}, reused {old} (median of {len(reused)}): reuse saves "
        if saved > 0:
            text += f"{figure(saved).strip()} ({saved / first:.0%})"
        else:
            text += "nothing here"
        return [self._line(text, "")]

    def _facts(self, transfer: Transfer) -> Iterator[tuple[str, str]]:
        response, connection = transfer.response, transfer.connection
        if response is not None:
            reason = escape(response.extensions.get("reason_phrase", b""))
            yield "status", f"{response.status} {reason}".rstrip()
            stream = response.extensions.get("stream_id")
            parts = [f"HTTP/{transfer.http_version}"]
            if stream is not None:
                parts.append(f"stream {stream}")
            parts.append(f"{'reused' if transfer.timeline.is_reused else 'new'} connection")
            yield "protocol", ", ".join(parts)
        if connection.remote is not None:
            arrow = "->" if self._is_plain else "→"
            local, remote = shown_address(connection.local), shown_address(connection.remote)
            yield "addresses", f"{local} {arrow} {remote}"
        if self._proxy is not None:
            yield "proxy", f"{self._proxy}, asked for {asked_for(transfer, self._proxy)}"
        tls = tls_facts(connection)
        if tls is not None:
            yield "TLS", f"{tls['version']}, {tls['cipher']}, ALPN {tls['alpn'] or 'none'}"
            for line in certificate_lines(tls):
                yield "", line
        if response is not None:
            rate = transfer.received / transfer.timeline.total
            yield "body", f"{transfer.received:,} bytes, {amount(rate)}/s"

    def _pair(self, name: str, value: str) -> Text:
        return self._line(f"  {name:{_LABEL + 1}}{value}", "")

    def _phase(self, phase: Phase, span: Span, total: float, mark: str = "") -> Text:
        text = Text(f"{phase.label:{_LABEL}}{figure(span.seconds)}")
        columns = self._width - _LABEL - _FIGURE - 1 - len(mark)
        if columns >= _LEAST_BAR:
            style = "" if self._is_plain else STYLES[phase]
            text.append(" ").append(self._bar(span, total, columns), style)
        text.append(mark)
        text.truncate(self._width)
        return text

    def _bar(self, span: Span, total: float, columns: int) -> str:
        start = min(int(span.start / total * columns), columns - 1)
        eighths = round(span.seconds / total * columns * 8)
        eighths = max(min(eighths, (columns - start) * 8), 1)
        if self._is_plain:
            return " " * start + "#" * max(eighths // 8, 1)
        whole, part = divmod(eighths, 8)
        return " " * start + "█" * whole + _EIGHTHS[part].strip()

    def _line(self, text: str, style: str) -> Text:
        if len(text) > self._width:
            mark = "..." if self._is_plain else "…"
            text = text[: self._width - len(mark)] + mark
        return Text(text, "" if self._is_plain else style)


def asked_for(transfer: Transfer, proxy: str) -> str:
    """Return what a proxy is asked for."""
    url = transfer.request.url
    target = shown_address((url.host.decode("ascii"), url.origin.port))
    if proxy.startswith("socks"):
        return f"a connection to {target}"
    if url.scheme == b"https":
        return f"CONNECT {target}"
    return escape(b"%b %b" % (transfer.request.method, bytes(url)))


def figure(seconds: float) -> str:
    """Return a time, in `_FIGURE` columns."""
    return f"{seconds * 1000:{_FIGURE - 3},.1f} ms"


def amount(count: float) -> str:
    """Return a number of bytes with a unit."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} GB"
