"""HTTP/2 for httpcore2: the connection that the pool uses where a server speaks it."""
