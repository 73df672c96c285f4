"""The pool: which request uses which connection."""
