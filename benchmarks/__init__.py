"""Benchmarks against other clients in one run: `scripts/hatch run bench:run`.

The runner starts a server on one core and a process for each client on another. The clients are measured in turns.
"""
