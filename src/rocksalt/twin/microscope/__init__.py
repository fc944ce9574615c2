"""The microscope: point processes, what stands at their points, and how a camera sees them through a lens."""
