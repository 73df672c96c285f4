"""The facts of a transfer under the names that curl has for them: the line of --json, and the variables of -w.

Rules: `SCHEMA` changes when a name or a meaning does. Times are in seconds since the transfer began, rates in bytes for
each second. No credential is in them.
Must not know: how a transfer is done.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ._failures import ExitCode
from ._terminal import escape
from ._timeline import Phase
from ._transfer import ConnectionFacts, Transfer

SCHEMA = 1


def facts(transfer: Transfer, backend: str) -> dict[str, Any]:
    """Return what is known of a transfer."""
    timeline, response, connection = transfer.timeline, transfer.response, transfer.connection
    status = response.status if response else 0
    failure = transfer.failure
    url = transfer.request.url
    remote, local = connection.remote or ("", -1), connection.local or ("", -1)
    total = timeline.total
    queue = timeline.spans.get(Phase.QUEUED)
    connected = timeline.until(Phase.DNS, Phase.QUIC, Phase.TCP)
    secured = timeline.until(Phase.QUIC, Phase.TLS)
    sending = timeline.spans.get(Phase.SEND)
    return {
        "schema": SCHEMA,
        "url": bytes(url).decode("ascii", "backslashreplace"),
        "urlnum": transfer.number,
        "scheme": url.scheme.decode("ascii"),
        "method": transfer.request.method.decode("ascii", "backslashreplace"),
        "http_code": status,
        "response_code": status,
        "http_version": transfer.http_version,
        "content_type": escape(transfer.field(b"content-type")),
        "exitcode": int(failure.code if failure else ExitCode.OK),
        "errormsg": failure.message if failure else None,
        "filename_effective": transfer.output.path,
        "num_connects": int(timeline.has_dialled),
        "num_headers": len(response.headers) if response else 0,
        "num_redirects": 0,
        "num_retries": transfer.retries,
        "remote_ip": remote[0],
        "remote_port": remote[1],
        "local_ip": local[0],
        "local_port": local[1],
        "proxy_used": int(transfer.is_proxied),
        "size_download": transfer.received,
        "size_upload": transfer.sent,
        "speed_download": rate(transfer.received, total),
        "speed_upload": rate(transfer.sent, total),
        "time_queue": round(queue.seconds if queue else total, 6),
        "time_namelookup": round(timeline.until(Phase.DNS), 6),
        "time_connect": round(connected, 6),
        "time_appconnect": round(secured, 6),
        "time_pretransfer": round(sending.start if sending else 0.0, 6),
        "time_starttransfer": round(timeline.until(Phase.WAIT), 6),
        "time_total": round(total, 6),
        "ssl_verify_result": 0 if connection.certificate else None,
        # What curl has no name for.
        "backend": backend,
        "reused": timeline.is_reused,
        "stream_id": response.extensions.get("stream_id") if response else None,
        "phases": {phase.label: round(span.seconds, 6) for phase, span in timeline.spans.items()},
        "failed_in": timeline.current.label if timeline.unfinished else None,
        "tls": tls_facts(connection),
    }


def rate(count: int, seconds: float) -> int:
    """Return the bytes for each second."""
    return int(count / seconds) if seconds else 0


def tls_facts(connection: ConnectionFacts, now: datetime | None = None) -> dict[str, Any] | None:
    """Return what is known of TLS and the certificate, or `None` without TLS."""
    if connection.tls_version is None:
        return None
    certificate = connection.certificate
    ends = certificate.get("notAfter")
    days = None
    if ends is not None:
        left = parse_certificate_time(ends) - (now or datetime.now(UTC))
        days = left.days
    return {
        "version": connection.tls_version,
        "cipher": connection.cipher,
        "alpn": connection.alpn,
        "is_verified": bool(certificate),
        "subject": name_of(certificate.get("subject", ())),
        "issuer": name_of(certificate.get("issuer", ())),
        "names": [value for _, value in certificate.get("subjectAltName", ())],
        "not_after": ends,
        "days_left": days,
    }


def parse_certificate_time(text: str) -> datetime:
    """Parse a time such as `Jan  5 09:34:43 2030 GMT`."""
    month, day, clock, year, zone = text.split()
    return parsedate_to_datetime(f"{day} {month} {year} {clock} {zone}").astimezone(UTC)


def name_of(parts: Any) -> str | None:
    """Return a distinguished name as text: the common name and the organisation."""
    values = {key: value for part in parts for key, value in part}
    chosen = [values[key] for key in ("commonName", "organizationName") if key in values]
    return ", ".join(chosen) or None


def format_facts(
    template: str,
    known: dict[str, Any],
    field: Callable[[str], str],
    unknown: Callable[[str], None],
) -> list[tuple[str, str]]:
    r"""Format the facts as -w does: `%{name}`, `%header{name}`, `%%`, `\n`, `\r` and `\t`.

    Args:
        template: the format.
        known: the facts.
        field: returns the value of a field of the response.
        unknown: called with each name that the format has and the report lacks.

    Returns:
        Pairs of `stdout` or `stderr`, and the text to write there.
    """
    parts: list[tuple[str, str]] = []
    target = "stdout"
    for literal, name, header in _VARIABLE.findall(template):
        if name in ("stdout", "stderr"):
            target = name
            continue
        if name == "onerror":
            # What follows is written for failures only.
            if not known["exitcode"]:
                break
            continue
        if header:
            text = field(header)
        elif not name:
            text = _ESCAPES.get(literal, literal)
        elif name == "json":
            text = as_json(known)
        elif name in known:
            text = _as_text(known[name])
        else:
            unknown(name)
            continue
        parts.append((target, text))
    return parts


_VARIABLE = re.compile(r"(%\{(\w+)\}|%header\{([^}]+)\}|%%|\\.|[^%\\]+|.)", re.S)
_ESCAPES = {"%%": "%", r"\n": "\n", r"\r": "\r", r"\t": "\t"}


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}"
    if isinstance(value, dict):
        return as_json(value)
    return str(int(value)) if isinstance(value, bool) else str(value)


def as_json(known: dict[str, Any]) -> str:
    """Return the facts as one line of JSON."""
    import json

    return json.dumps(known, ensure_ascii=True)
