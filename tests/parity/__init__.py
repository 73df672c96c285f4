"""This release side by side with the published 2.16.2, each in a Python of its own: `python -m tests.parity`."""
