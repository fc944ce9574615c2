"""The daemon: puts a run together out of processes (or, in virtual time, nodes), and is the one door for commands."""
