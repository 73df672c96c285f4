"""Side by side with other clients, in one run: `hatch run bench:run`.

The runner starts a server on one core and a process for each client on another, and lets the clients take turns.
"""
