"""Helpers that tests of several folders share: runtimes, fakes, scripted peers, real servers and proxies.

A helper that only one folder uses belongs to that folder, in its `conftest.py` or in a module of its own.
"""
