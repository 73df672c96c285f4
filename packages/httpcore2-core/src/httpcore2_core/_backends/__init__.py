"""What connects the transport to its worlds."""
