"""Drivers that come with Rocksalt: one folder an instrument, with driver, simulator and the manual's facts.

Nothing is imported here; `rocksalt.drivers` entry points name the classes.
"""
