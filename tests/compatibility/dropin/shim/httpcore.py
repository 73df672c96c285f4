"""`httpcore`, the module that `httpx` imports: this checkout under that name."""

import sys

import httpcore2

sys.modules["httpcore"] = httpcore2
