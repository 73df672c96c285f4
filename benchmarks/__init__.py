"""How fast the transport is, side by side with the published one. Run `hatch run bench:run --help`."""
