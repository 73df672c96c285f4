"""What connects the transport to the worlds that it runs in."""
