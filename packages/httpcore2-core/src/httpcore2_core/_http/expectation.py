"""`Expect: 100-continue` (RFC 9110, section 10.1.1): which requests wait before they send their body.

The server then answers with 100, and the body is sent; or with a final response of 300 or more, and it is not. A server
may ignore the field: after a time limit the body is sent all the same. 417 says that the field itself was refused: the
request is sent again without it. That holds for a request without content as well, though it should not have the field.
Must not know: how a protocol frames requests, connections, who waits.
"""

from __future__ import annotations

from .._models import Request
from .fields import Headers, list_elements

CONTINUE = 100
EXPECTATION_FAILED = 417


def is_expectation(value: bytes) -> bool:
    """Whether the value of an Expect field has the expectation 100-continue."""
    return b"100-continue" in list_elements(value)


def expects_continue(headers: Headers) -> bool:
    """Whether a request with these fields, and with a body, waits before it sends that."""
    return any(name.lower() == b"expect" and is_expectation(value) for name, value in headers)


def may_send_without_expectation(request: Request, has_consumed: bool) -> bool:
    """Whether `request`, to which the response is 417, may be sent again without its Expect field.

    Args:
        request: as it was sent.
        has_consumed: whether the iteration of its body has begun, so that the body can't be sent again.
    """
    return not has_consumed and expects_continue(request.headers)


def without_expectation(request: Request) -> Request:
    """Return `request` without its Expect field."""
    return Request(
        request.method,
        request.url,
        headers=[field for field in request.headers if field[0].lower() != b"expect"],
        content=request.stream,
        extensions=request.extensions,
    )
