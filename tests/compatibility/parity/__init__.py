"""This release beside the published 2.16.2, each in a Python of its own: `python -m tests.compatibility.parity`."""
