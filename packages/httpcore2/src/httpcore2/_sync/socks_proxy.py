"""The place of `SOCKSProxy` in 2.16.2."""

from .. import SOCKSProxy

__all__ = ["SOCKSProxy"]
