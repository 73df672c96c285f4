"""The examples of the documentation's page on async support."""
