"""The connection pool."""
