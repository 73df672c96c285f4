"""Parts of the request path by themselves, without a network, so that a change shows in a count, not in noise.

`bench:micro` measures the time with pytest-benchmark; `bench:count` counts instructions with valgrind, which gives the
same figure on a busy machine.
"""
