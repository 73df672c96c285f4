"""Proxies: what is said to them, the ways through them, and the pools that are named after them."""
