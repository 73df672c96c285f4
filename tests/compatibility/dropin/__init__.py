"""The published `httpx2` 2.16.2 and `httpx` 0.28.1 on this checkout: `scripts/hatch run parity:dropin`."""
