"""Acquisition: the loop that moves, exposes and takes frames, and what it needs of the rooms around it."""
