"""The command line: click's runner, pseudo-terminals, and real servers."""
