"""The values of options that have a form of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from httpcore2_cli import _values as values


def test_data_of_a_file_has_no_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"a\r\nb\0\n")
    assert values.parse_data(f"@{file}") == b"ab"
    assert values.parse_binary_data(f"@{file}") == b"a\r\nb\0\n"
    assert values.parse_data("é\n") == "é\n".encode()
    assert values.parse_binary_data("b") == b"b"


def test_a_format_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "format"
    file.write_text("%{http_code}\n")
    assert values.parse_write_out(f"@{file}") == "%{http_code}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A.example:443:192.0.2.1", ("a.example", 443, ("192.0.2.1",))),
        ("+a:80:192.0.2.1,[2001:db8::1]", ("a", 80, ("192.0.2.1", "2001:db8::1"))),
        ("*:0:::1", ("*", 0, ("::1",))),
        ("[::1]:80:127.0.0.1", ("::1", 80, ("127.0.0.1",))),
    ],
)
def test_resolve_names_host_port_and_addresses(text: str, expected: object) -> None:
    assert values.parse_resolve(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:443", "must have the form"),
        (":443:192.0.2.1", "must have the form"),
        ("a:443:name", "'name' in 'a:443:name' is not an IP address"),
        ("a:http:192.0.2.1", "port must be from 0 to 65535, but got 'http'"),
        ("a:65536:192.0.2.1", "but got '65536'"),
    ],
)
def test_a_faulty_resolve_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        values.parse_resolve(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A:80:b:8080", ("a", 80, "b", 8080)),
        (":::", ("", 0, "", 0)),
        ("[::1]:80:[::2]:81", ("::1", 80, "::2", 81)),
    ],
)
def test_connect_to_names_two_hosts_and_ports(text: str, expected: object) -> None:
    assert values.parse_connect_to(text) == expected


def test_a_faulty_connect_to_says_its_form() -> None:
    with pytest.raises(ValueError, match="HOST1:PORT1:HOST2:PORT2, but got 'a:b'"):
        values.parse_connect_to("a:b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file.pem", ("file.pem", None)),
        ("file.pem:word", ("file.pem", "word")),
        (r"C\:file.pem:w:o", ("C:file.pem", "w:o")),
    ],
)
def test_a_certificate_may_have_a_password(text: str, expected: object) -> None:
    assert values.parse_certificate(text) == expected


def test_an_offset_is_a_number_or_the_size_of_the_file() -> None:
    assert values.parse_resume("-") == -1
    assert values.parse_resume("12") == 12
    with pytest.raises(ValueError, match="must be - or a number of bytes, but got '-1'"):
        values.parse_resume("-1")
