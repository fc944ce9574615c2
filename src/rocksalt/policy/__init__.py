"""Deciding what to measure next: goals, load curve, budgets, stop rules.
Pure functions of the run so far; resume and replay ask the same question and get the same answer."""
