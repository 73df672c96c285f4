"""The behaviour of the product as its callers observe it: each test is written once, and runs on every runtime.

A test of one private module belongs to the folder of its distribution (`core`, `http2`, `asyncio`, `trio`); a test
with a real server belongs to `interop`.
"""
