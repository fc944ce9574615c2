"""The sample: its crystals, and how one phase turns into the other."""
