"""Ways through proxies."""
