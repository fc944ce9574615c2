"""Druck PACE5000 and PACE6000 pressure controllers: driver and simulator, which share nothing but the manual.

Nothing is imported here: the daemon takes the driver alone, the twin the simulator alone.
"""
