"""HTTP/2: the codec on its own, and every scenario on every runtime."""
