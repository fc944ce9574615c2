"""Rocksalt runs diffraction experiments on alkali-halide crystals by itself: instruments, frames, model, decisions."""

__version__ = "0.1.0"
