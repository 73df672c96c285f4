"""What is released, as its users get it: built wheels and sdists, in environments of their own.

Nothing here may see the working tree's packages, so that these tests run apart from the others: `scripts/hatch run
artifacts:test`, after `build:all`.
"""
