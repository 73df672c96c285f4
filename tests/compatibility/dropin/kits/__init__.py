"""Tests as users of each kit write them; `test_kits.py` runs each with its kit alone, since two have one name."""
