"""The values of options that have a form of their own, such as `--resolve`: parsed and checked.

Rules: a faulty value is a `ValueError` with a sentence that has the value and the form.
Must not know: click, what the values are used for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path


def read_file(path: str) -> bytes:
    """Return the content of a file; `-` is the standard input."""
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as exc:
        raise ValueError(f"{path} cannot be read: {exc.strerror}.") from exc


def parse_data(text: str) -> bytes:
    """Return the data of -d: a text, or the content of `@FILE` without line ends and NUL, as curl does."""
    if not text.startswith("@"):
        return text.encode()
    return read_file(text[1:]).translate(None, b"\r\n\0")


def parse_binary_data(text: str) -> bytes:
    """Return the data of --data-binary: a text, or the content of `@FILE`."""
    return read_file(text[1:]) if text.startswith("@") else text.encode()


def parse_fields(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the fields of -H, with those in `@FILE`, one on each line."""
    fields: list[str] = []
    for text in texts:
        if text.startswith("@"):
            lines = read_file(text[1:]).decode("utf-8", "surrogateescape").splitlines()
            fields += [line for line in lines if line]
        else:
            fields.append(text)
    return tuple(fields)


def parse_port(text: str, owner: str) -> int:
    """Return a port."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise ValueError(f"{owner}: the port must be from 0 to 65535, but got {text!r}.")
    return int(text)


def split_hosts(text: str, count: int) -> list[str]:
    """Split a text at colons, but not at those of an address in brackets."""
    parts: list[str] = []
    rest = text
    while len(parts) < count - 1:
        if rest.startswith("[") and "]" in rest:
            part, _, rest = rest[1:].partition("]")
            rest = rest.removeprefix(":")
        else:
            part, _, rest = rest.partition(":")
        parts.append(part)
    return [*parts, rest]


def parse_resolve(text: str) -> tuple[str, int, tuple[str, ...]]:
    """Return host, port and addresses of `--resolve HOST:PORT:ADDRESS[,ADDRESS]...`."""
    host, port, rest = split_hosts(text, 3)
    addresses = tuple(each.strip("[]") for each in rest.split(",") if each)
    if not host or not addresses:
        raise ValueError(f"It must have the form HOST:PORT:ADDRESS[,ADDRESS]..., but got {text!r}.")
    for address in addresses:
        try:
            ip_address(address)
        except ValueError:
            raise ValueError(f"{address!r} in {text!r} is not an IP address.") from None
    return host.removeprefix("+").lower(), parse_port(port, text), addresses


def parse_connect_to(text: str) -> tuple[str, int, str, int]:
    """Return the four parts of `--connect-to HOST1:PORT1:HOST2:PORT2`; an empty host or port is `""` or 0."""
    if text.count(":") < 3:
        raise ValueError(f"It must have the form HOST1:PORT1:HOST2:PORT2, but got {text!r}.")
    host, port, to_host, to_port = split_hosts(text, 4)
    return (
        host.lower(),
        parse_port(port, text) if port else 0,
        to_host,
        parse_port(to_port, text) if to_port else 0,
    )


def parse_certificate(text: str) -> tuple[str, str | None]:
    r"""Return the file and the password of `--cert FILE[:PASSWORD]`; `\:` is a colon in the name of the file."""
    placeholder = "\0"
    file, colon, password = text.replace("\\:", placeholder).partition(":")
    return file.replace(placeholder, ":"), password.replace(placeholder, "\\:") if colon else None


def parse_user(text: str) -> tuple[str, str]:
    """Return the user and the password of `USER:PASSWORD`."""
    user, _, password = text.partition(":")
    return user, password


def parse_resume(text: str) -> int:
    """Return the offset of -C; -1 for `-`, the size of the file."""
    if text == "-":
        return -1
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"It must be - or a number of bytes, but got {text!r}.")
    return int(text)


def parse_write_out(text: str) -> str:
    """Return the format of -w, which may be in `@FILE`."""
    return read_file(text[1:]).decode() if text.startswith("@") else text
