"""The place of `default_ssl_context` in 2.16.2."""

from . import default_ssl_context

__all__ = ["default_ssl_context"]
