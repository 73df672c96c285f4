"""HTTP/1.1: the codec, its judge, and the connection that uses them."""
