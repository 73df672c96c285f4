"""Compatibility with the published 2.16.2: names, behaviour, kits and clients that build on it."""
