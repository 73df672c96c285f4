"""Requests to real servers and proxies, as Debian and the package index distribute them.

The programs are started by `support.real_servers` and `support.real_proxies`.
"""
