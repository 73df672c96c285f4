"""The place of `AsyncSOCKSProxy` in 2.16.2."""

from .. import AsyncSOCKSProxy

__all__ = ["AsyncSOCKSProxy"]
