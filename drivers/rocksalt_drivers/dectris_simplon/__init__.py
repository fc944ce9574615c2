"""DECTRIS EIGER2 and PILATUS4 over the SIMPLON API 1.8: driver, stream decoder, simulator.

Nothing is imported here: the writer takes the decoder alone, the twin the simulator alone.
"""
