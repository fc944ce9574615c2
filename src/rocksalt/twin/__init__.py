"""The twin: a simulated sample in its cell, chamber and beam, and the doors at which simulated instruments stand."""
