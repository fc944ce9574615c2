"""After a run: what it found, as numbers (summary.json), figures and a page (report.html).

Reads the history, which is a fold over the journal, and the reduced patterns; changes neither.
"""
