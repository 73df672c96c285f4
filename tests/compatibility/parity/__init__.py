"""Compares this release with the published 2.16.2, each in its own environment: `python -m tests.compatibility.parity`.

Both collect facts about their public surface and about the outcomes of the same cases; `reasons` explains each
difference, and `document` writes the page.
"""
