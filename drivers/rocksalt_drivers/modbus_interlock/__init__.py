"""Shutter, door and interlock chain behind Modbus TCP: driver and simulator, which share nothing but README.md's map.

Nothing is imported here: the daemon takes the driver alone, the twin the simulator alone.
"""
