"""Spellman X-ray generators (XRV, uX, XRB, SL): driver and simulator, which share nothing but the manual.

Nothing is imported here: the daemon takes the driver alone, the twin the simulator alone.
"""
