"""Module path of 2.16.2: `SOCKSProxy`."""

from .. import SOCKSProxy

__all__ = ["SOCKSProxy"]
