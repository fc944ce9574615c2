"""Between pixels and patterns. Here: frame to pattern (pyFAI); the forward model stands beside it.

Heavy modules are loaded by those who name them: `from rocksalt.diffraction.integrate import Integrator`.
"""
