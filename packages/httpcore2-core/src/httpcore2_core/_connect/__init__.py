"""How a stream to an origin is established: routes, proxies, TLS."""
