"""One run of the command: each URL in turn, on one pool.

Rules: the exit code is that of the last transfer, as with curl. Whatever happens, the pool is closed.
Must not know: click.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, TextIO

from ._connections import http3_problem, make_client, make_proxy
from ._failures import ExitCode, Failure
from ._options import BenchOptions, Options
from ._outputs import Output, OutputClosed, size_of
from ._report import as_json, facts, format_facts
from ._requests import file_name, make_request, parse_url
from ._routes import TimedResolver
from ._runtimes import RUNTIMES, Client, Runtime, Trace
from ._screen import Screen
from ._terminal import escape, is_plain, is_terminal, terminal_width
from ._transfer import Meter, Transfer
from ._verbose import EventReader, VerboseReader

if TYPE_CHECKING:
    from ._waterfall import Waterfall

RETRIED_STATUSES = (408, 429, 500, 502, 503, 504)
LONGEST_PAUSE = 600.0
"""Seconds between two attempts, as in curl."""


class Session:
    """One run.

    Args:
        options: the options.
        output: the standard output.
        screen: the standard error.
    """

    def __init__(self, options: Options, output: TextIO, screen: Screen) -> None:
        self._options = options
        self._output = output
        self._stdout: BinaryIO = output.buffer
        self._is_terminal = is_terminal(output)
        self._screen = screen
        self._runtime: Runtime = RUNTIMES[options.backend]()
        self._current: Transfer | None = None
        self._transfers: list[Transfer] = []

    def run(self) -> int:
        """Send all requests, and return the exit code."""
        try:
            if self._options.insecure:
                self._screen.warn(
                    "certificates are not checked (-k): anyone may be at the other end."
                )
            problem = http3_problem(self._options)
            if problem is not None and not self._options.is_http3_only:
                self._screen.warn(f"--http3 has no effect: {problem}.")
            if self._options.bench is not None:
                return self._load(self._options.bench)
            return self._runtime.run(self._send_all)
        except (Failure, ImportError) as exc:
            code = exc.code if isinstance(exc, Failure) else ExitCode.USAGE
            self._screen.error(code, str(exc), getattr(exc, "hint", None))
            return code
        except OutputClosed:
            return ExitCode.WRITE
        except KeyboardInterrupt:
            self._interrupted()
            return ExitCode.INTERRUPTED
        except BaseExceptionGroup as group:
            # trio raises the interruption inside the group of its tasks.
            if group.subgroup(KeyboardInterrupt) is None:
                raise
            self._interrupted()
            return ExitCode.INTERRUPTED

    def _interrupted(self) -> None:
        message = "Interrupted."
        transfer = self._current
        if transfer is not None and transfer.output.path is not None and transfer.output.written:
            message += f" {transfer.kept()} Continue with -C -."
        self._screen.note(f"httpcore2: {escape(message)}")

    def _load(self, limits: BenchOptions) -> int:
        """Load a server, and show what came of it, also after Ctrl-C."""
        from ._bench import Bench, refuse_remote
        from ._bench_report import bench_facts, bench_lines

        (url,) = self._options.urls
        refuse_remote(self._options, url)
        _, upload = make_request(self._options, url)  # a faulty one is refused before the load
        if upload is not None:
            upload.close()
        bench = Bench(self._options, limits, url)

        async def main() -> None:
            client, _ = self._make_client(limits.connections)
            try:
                await bench.run(self._runtime, client)
            finally:
                await client.aclose()

        try:
            self._runtime.run(main)
        finally:
            result = bench.result
            known = bench_facts(result, url, limits, self._options.backend)
            if self._options.json:
                self._write(f"{as_json(known)}\n", to_error=False)
            else:
                bar = "#" if is_plain(self._output) else "█"
                width = terminal_width(self._output)
                lines = bench_lines(known, result.latencies, bar, width)
                self._write("\n".join([*map(escape, lines), ""]), to_error=False)
        return result.code

    def _make_client(self, max_connections: int = 10) -> tuple[Client, TimedResolver]:
        client, resolver = make_client(self._runtime, self._options, max_connections)
        if self._options.http3:
            # As with curl, before a response has offered it.
            for url in self._options.urls:
                with suppress(Failure):  # it is reported when its turn comes
                    client.try_http3(parse_url(url).origin)
        return client, resolver

    async def _send_all(self) -> int:
        options = self._options
        code = 0
        client, resolver = self._make_client()
        try:
            for number, url in enumerate(options.urls):
                for turn in range(options.repeat):
                    transfer = await self._send(client, resolver, url, number, turn)
                    code = self._report(transfer)
        finally:
            await client.aclose()
        if self._draws and options.repeat > 1:
            self._screen.draw(self._waterfall().saving(self._transfers))
        return code

    async def _send(
        self, client: Client, resolver: TimedResolver, url: str, number: int, turn: int
    ) -> Transfer:
        """Send one request, and again after transient errors."""
        pause = 1.0
        attempt = 0
        while True:
            is_last = attempt == self._options.retry
            transfer = self._prepare(url, number, turn)
            transfer.retries = attempt
            self._current = transfer
            resolver.on_start = transfer.on_lookup
            resolver.on_end = transfer.on_resolved
            await transfer.run(
                client,
                self._readers(transfer),
                fails_by_status=self._options.fail,
                includes_head=self._options.include or self._options.head,
                is_retried=lambda status, is_last=is_last: (  # type: ignore[misc]
                    not is_last and status in RETRIED_STATUSES
                ),
                meter=self._meter(),
            )
            if is_last or not is_transient(transfer):
                return transfer
            attempt += 1
            wait = retry_after(transfer) or pause
            pause = min(pause * 2, LONGEST_PAUSE)
            self._screen.warn(f"transient problem, next attempt in {wait:.0f} s.")
            await self._runtime.sleep(wait)

    def _meter(self) -> Meter:
        if self._options.silent or not self._screen.is_terminal:
            return Meter()
        from ._progress import ProgressMeter

        return ProgressMeter(self._screen.stream, is_plain=self._screen.is_plain)

    def _prepare(self, url: str, number: int, turn: int) -> Transfer:
        options = self._options
        path, is_forced = self._destination(url, number)
        offset = 0
        if options.resume is not None:
            if path is None:
                raise Failure(ExitCode.USAGE, "-C needs a file: add -o FILE or -O.")
            offset = size_of(path) if options.resume < 0 else options.resume
        request, upload = make_request(options, url, offset)
        to_terminal = path is None and self._is_terminal and not is_forced
        output = Output(
            self._stdout,
            path,
            guards_terminal=to_terminal,
            is_discarded=turn > 0 or (options.json and path is None and not is_forced),
            offset=offset,
        )
        transfer = Transfer(url, request, upload, output, bool(options.proxy))
        transfer.number = number
        return transfer

    def _destination(self, url: str, number: int) -> tuple[str | None, bool]:
        """Return the file for a URL, or `None`; and whether the user chose the standard output with `-o -`."""
        outputs = self._options.outputs
        if number < len(outputs):
            return (None, True) if outputs[number] == "-" else (outputs[number], False)
        if not self._options.remote_name:
            return None, False
        name = file_name(parse_url(url))
        if not name:
            hint = "Give the file a name with -o."
            raise Failure(
                ExitCode.WRITE, "-O names the file after the URL, whose path ends with /.", hint
            )
        return name, False

    def _readers(self, transfer: Transfer) -> list[Trace]:
        readers: list[Trace] = []
        if self._options.verbose:
            readers.append(VerboseReader(self._screen.line).on_event)
        if self._options.trace:
            readers.append(EventReader(self._screen.line, transfer.clock).on_event)
        return readers

    def _report(self, transfer: Transfer) -> int:
        """Show what the options ask for, and return the exit code."""
        self._transfers.append(transfer)
        options = self._options
        known = facts(transfer, options.backend)
        if transfer.failure is not None:
            self._screen.failure(transfer)
        elif transfer.output.is_complete:
            self._screen.note(f"{transfer.output.path} is complete: nothing was downloaded.")
        if self._draws:
            if transfer.output.is_mid_line and transfer.output.path is None and self._is_terminal:
                self._screen.line("")
            self._screen.draw(self._waterfall().lines(transfer))
        if options.write_out is not None:
            self._write_out(options.write_out, transfer, known)
        if options.json:
            self._write(f"{as_json(known)}\n", to_error=self._body_is_on_stdout(transfer))
        return int(known["exitcode"])

    @property
    def _draws(self) -> bool:
        """Whether the phases are drawn: on a terminal, unless the figures go elsewhere, or messages are hidden."""
        options = self._options
        is_hidden = options.silent or options.json or not self._screen.is_terminal
        return options.waterfall or not is_hidden

    def _waterfall(self) -> Waterfall:
        from ._waterfall import Waterfall

        proxy = make_proxy(self._options)
        shown = None if proxy is None else escape(bytes(proxy.url).rstrip(b"/"))
        return Waterfall(self._screen.width, self._screen.is_plain, shown)

    def _body_is_on_stdout(self, transfer: Transfer) -> bool:
        return transfer.output.path is None and "-" in self._options.outputs

    def _write_out(self, template: str, transfer: Transfer, known: dict[str, object]) -> None:
        def field(name: str) -> str:
            return transfer.field(name.lower().encode()).decode("utf-8", "backslashreplace")

        def unknown(name: str) -> None:
            self._screen.warn(f"unknown --write-out variable: {escape(name)!r}")

        for target, text in format_facts(template, known, field, unknown):
            self._write(text, to_error=target == "stderr")

    def _write(self, text: str, *, to_error: bool) -> None:
        stream = self._screen.stream.buffer if to_error else self._stdout
        try:
            stream.write(text.encode())
            stream.flush()
        except BrokenPipeError as exc:
            raise OutputClosed from exc


def is_transient(transfer: Transfer) -> bool:
    """Return whether a transfer may succeed if it is repeated, by the rules of curl's --retry."""
    if transfer.failure is not None and transfer.failure.code is ExitCode.TIMEOUT:
        return True
    return transfer.response is not None and transfer.response.status in RETRIED_STATUSES


def retry_after(transfer: Transfer) -> float:
    """Return the seconds that the server asks to wait for; 0 if it names none, or a date."""
    value = transfer.field(b"retry-after")
    return min(float(value), LONGEST_PAUSE) if value.isdigit() else 0.0
