"""Watching: what a run shows of itself while it goes on and when it is over."""
