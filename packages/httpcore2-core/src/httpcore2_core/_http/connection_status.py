"""The status of a connection, by which pools and users of the sync and the async API know it.

Must not know: how a request is sent.
"""

from __future__ import annotations

from .._models import Origin


class ConnectionStatus:
    """Base class of sync and async connections: their state.

    Pools decide by these methods whether a connection takes a request, and whether to close it.
    """

    def info(self) -> str:
        """Describe the connection, for logs.

        Returns:
            The origin, the protocol, the state and the number of requests, as one line of text.
        """
        raise NotImplementedError

    def can_handle_request(self, origin: Origin) -> bool:
        """Return whether the connection is to an origin.

        Args:
            origin: the origin of a request.

        Returns:
            Whether the connection takes requests to this origin.
        """
        raise NotImplementedError

    def can_multiplex(self) -> bool:
        """Return whether the protocol is multiplexed, as HTTP/2 is.

        Returns:
            Whether the connection takes several requests at the same time.
        """
        return False

    def is_available(self) -> bool:
        """Return whether the connection takes another request.

        Returns:
            Whether it can take a request at once, or is being established and may turn out to be multiplexed.
        """
        raise NotImplementedError

    def has_expired(self) -> bool:
        """Return whether an idle connection should be closed.

        Returns:
            Whether it has been idle for longer than its keep-alive expiry, or was closed by the peer.
        """
        raise NotImplementedError

    def is_idle(self) -> bool:
        """Return whether the connection is idle.

        Returns:
            Whether it is established and no request is in progress.
        """
        raise NotImplementedError

    def is_closed(self) -> bool:
        """Return whether the connection is closed.

        Returns:
            Whether it was closed on this side, or could not be established.
        """
        raise NotImplementedError

    def is_connected(self) -> bool:
        """Return whether the connection is established.

        Returns:
            Whether the connection, including TLS and a proxy's handshake, has been established.
        """
        raise NotImplementedError
