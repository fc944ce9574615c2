"""From observation to estimate: the whole-pattern fit, the referee, and what comes beside them.

Import from the modules; this package imports none of them by itself.
"""
