"""Tests as users of each kit write them; `test_kits.py` runs each in an environment with its kit only."""
