"""Tests of `httpcore2_http3`: scripted servers on qh3's server side, and a relay that loses datagrams."""
