"""A server on the loopback interface that answers as a script says.

Rules: plain threads, so that clients of every world can talk to it; whoever waits, waits at most `LIMIT` seconds;
leaving it joins every thread and closes every socket.
Must not know: HTTP (the script does), event loops.
"""

from __future__ import annotations

import socket  # noqa: TID251 - a server is no part of the transport
import struct
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from ._peers import LIMIT
from ._script import Script, ScriptedConnection

if TYPE_CHECKING:
    import ssl

_RECEIVE = 64 * 1024


class ScriptedServer:
    """Serves a script on a free port of the loopback interface, while its `with` block runs.

        with ScriptedServer(Script(reply(200, b"fine"))) as server, ConnectionPool() as http:
            assert http.request("GET", server.url).content == b"fine"

    What the client does wrong, what the script has no reply for, or what a function in it raises, is raised at the end
    of the block. In the place of an exception in the script, the server resets the connection.

    Attributes:
        url: such as `"http://127.0.0.1:40123/"`.
    """

    url: str

    def __init__(self, script: Script, *, ssl_context: ssl.SSLContext | None = None) -> None:
        """Take the script; nothing is opened yet.

        Args:
            script: all connections share it.
            ssl_context: for a server that speaks TLS.
        """
        self._script = script
        self._ssl_context = ssl_context
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._errors: list[Exception] = []

    def __enter__(self) -> ScriptedServer:
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "http" if self._ssl_context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(LIMIT)
        self._listener.close()
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed
        for thread in self._threads:
            thread.join(LIMIT)
        if self._errors:
            if exc_value is None:
                raise self._errors[0]
            exc_value.add_note(f"The server's side: {self._errors[0]!r}")

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # the block has ended
            sock.settimeout(LIMIT)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._sockets.append(sock)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with sock:
                if self._ssl_context is not None:
                    # It takes the descriptor over.
                    sock = self._ssl_context.wrap_socket(sock, server_side=True)
                    self._sockets.append(sock)
                with sock:
                    self._answer(sock)
        except OSError:
            pass  # the client went away, or does not trust this server
        except Exception as exc:  # noqa: BLE001 - raised at the end of the block
            self._errors.append(exc)

    def _answer(self, sock: socket.socket) -> None:
        connection = ScriptedConnection(self._script)
        while not connection.is_ended:
            data = sock.recv(_RECEIVE)
            if not data:
                return
            connection.receive(data)
            while connection.output:
                piece = connection.output.popleft()
                if isinstance(piece, Exception):
                    # To close with this option set is to reset.
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    sock.sendall(piece)
