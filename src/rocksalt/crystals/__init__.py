"""What is known of the salts: cells, equations of state, lines, absorption, transition facts. Pure functions.

Import from the modules; this package imports none of them by itself.
"""
