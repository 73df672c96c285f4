"""`httpcore`, as `httpx` asks for it: this checkout, under that name."""

import sys

import httpcore2

sys.modules["httpcore"] = httpcore2
