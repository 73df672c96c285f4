"""Module path of 2.16.2: `AsyncSOCKSProxy`."""

from .. import AsyncSOCKSProxy

__all__ = ["AsyncSOCKSProxy"]
