"""Servers and proxies that others wrote, as real as they come from Debian."""
