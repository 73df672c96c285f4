"""The built wheels and sdists, installed in environments of their own as users install them.

The working tree's packages must not be importable here, so these tests run apart from the others, after `build:all`:
`scripts/hatch run packaging:test`.
"""
