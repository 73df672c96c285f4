"""Tests of the distribution httpcore2-opentelemetry."""
