"""Frames of the connection that are rare, left to h2: preface, SETTINGS, PING, our GOAWAY. Layer: stream.

h2 sees no stream, so that a request costs it nothing. It acknowledges SETTINGS and PING, keeps the settings of both
sides, and sets the sizes of the dynamic tables.

Must not know: streams, fields, the network.
"""

from __future__ import annotations

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RemoteSettingsChanged
from h2.settings import SettingCodes, Settings
from hpack import Decoder, Encoder

from ._codec import MAX_HEADER_LIST, MAX_STREAMS
from ._errors import ErrorCode
from ._frames import FRAME_HEADER, SETTINGS, check_settings

# h2 sees no fields.
CONFIG = H2Configuration(
    client_side=True,
    header_encoding=None,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
)


class ConnectionControl:
    """The control frames of one connection."""

    def __init__(
        self, config: H2Configuration, stream_window: int, encoder: Encoder, decoder: Decoder
    ) -> None:
        """Start the connection: `take()` returns its preface with our settings.

        Args:
            config: configures h2.
            stream_window: bytes that the server may send on a new stream.
            encoder: gets the table size that the server allows.
            decoder: gets the table size that we allow.
        """
        self._h2 = h2 = H2Connection(config)
        h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: stream_window,
                SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST,
            },
        )
        # It is for servers to send; some servers refuse a connection with it.
        del h2.local_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL]
        h2.initiate_connection()
        h2.encoder, h2.decoder = encoder, decoder

    def take(self) -> bytes:
        """Return the bytes to send after any of the calls below."""
        return self._h2.data_to_send()

    def ping(self) -> None:
        """Send PING."""
        self._h2.ping(b"httpcor2")

    def close(self, code: ErrorCode) -> None:
        """Send GOAWAY with this error code."""
        self._h2.close_connection(code)

    def receive(self, payload: bytes, kind: int, flags: int) -> dict[int, int] | None:
        """Process a SETTINGS or PING frame; return the settings that it changes, or `None` if it has none.

        The frame is well-formed, and its values are checked here, so that h2 finds no fault in it.

        Raises:
            ConnectionFault: a setting is out of its range.
        """
        if kind == SETTINGS:
            check_settings(payload)
        header = FRAME_HEADER.pack(len(payload) << 8 | kind, flags, 0)
        for event in self._h2.receive_data(header + payload):
            if isinstance(event, RemoteSettingsChanged):
                changed = event.changed_settings.items()
                return {int(code): setting.new_value for code, setting in changed}
        return None

    @property
    def server_settings(self) -> Settings:
        """The server's settings, initial values included (RFC 9113, section 6.5.2)."""
        return self._h2.remote_settings
