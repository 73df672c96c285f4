"""The network: streams, backends, runtimes, TLS, and adapters for backends of the caller."""
