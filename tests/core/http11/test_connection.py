"""HTTP/1.1 over a stream whose reads are scripted."""

from __future__ import annotations

from httpcore2_core import ConnectionPool, MockBackend


def test_the_data_of_a_chunk_is_read_after_its_size() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    reads = [head, b"5\r\n", b"hello", b"\r\n0\r\n\r\n"]
    with (
        ConnectionPool(network_backend=MockBackend(reads)) as pool,
        pool.stream("GET", "http://example.test/") as response,
    ):
        assert response.read() == b"hello"
