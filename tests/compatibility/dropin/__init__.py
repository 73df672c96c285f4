"""`httpx2` 2.16.2 and `httpx` 0.28.1, as published, on this checkout: `scripts/hatch run parity:dropin`."""
