"""Module path of 2.16.2: `default_ssl_context`."""

from . import default_ssl_context

__all__ = ["default_ssl_context"]
