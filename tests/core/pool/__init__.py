"""Tests of `httpcore2_core._pool`."""
