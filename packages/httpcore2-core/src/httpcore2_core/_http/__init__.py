"""HTTP semantics that all versions share: bodies, timeouts, trace, established connections."""
