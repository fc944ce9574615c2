"""The forward model: from crystals, an instrument and a background to a powder pattern. Pure functions.

Import from the modules: `pattern` computes one with everything in it, `fast` many with the same grid and phases.
"""
