"""Tests of `httpcore2_core.testing`."""
