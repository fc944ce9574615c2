"""Bruker Instrument Service: goniometer, generator, shutters, temperature and detector of a D8, and a simulator of it.

Nothing is imported here: the daemon takes the driver alone, the twin the simulator alone. They share nothing but notes.
"""
