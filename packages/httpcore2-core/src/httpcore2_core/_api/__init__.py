"""Classes and functions for users: pools, connections, and the sync API over the async one."""
