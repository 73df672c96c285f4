"""Parts that the versions of HTTP with streams share: bodies to send, and heads that were checked before."""

from __future__ import annotations

from httpcore2_core import Request
from httpcore2_core._http.stream_fields import FieldSection, check_response
from httpcore2_core._http.stream_upload import StreamUpload


def test_a_body_without_a_declared_length_is_sent_as_it_is() -> None:
    request = Request("POST", "http://www.example.com/", content=b"abc")
    upload = StreamUpload.of(request, None, True)
    assert upload is not None
    assert not upload.expects_continue


def test_an_empty_body_expects_nothing() -> None:
    request = Request("GET", "http://www.example.com/", headers={"Expect": "100-continue"})
    upload = StreamUpload.of(request, None, True)
    assert upload is not None
    assert not upload.expects_continue


def test_the_fields_of_a_response_are_checked_once() -> None:
    section = FieldSection([(b":status", b"200"), (b"content-length", b"4")])
    first = check_response(section, b"GET")
    assert first.status == 200
    assert check_response(section, b"GET") is first
