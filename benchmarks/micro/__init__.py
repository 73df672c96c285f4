"""Parts of the request path, measured separately and without a network, so that noise does not hide a change.

`bench:micro` measures the time with pytest-benchmark; `bench:count` counts instructions with valgrind, which gives the
same result on a busy machine.
"""
