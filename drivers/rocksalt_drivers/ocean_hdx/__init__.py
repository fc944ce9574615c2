"""Ocean HDX and FX optical spectrometers: driver and simulator, which share nothing but the notes.

Nothing is imported here: the daemon takes the driver alone, the twin the simulator alone.
"""
