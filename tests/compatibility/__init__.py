"""Compatibility with the published 2.16.2: its public names, its behaviour, and the clients and test kits that use it.

`parity` compares both releases, `dropin` runs other projects on this one, and `test_async_examples` runs the documented
examples.
"""
