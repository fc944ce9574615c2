"""Station and campaign files: what a person may write in them, how they are read, and what is said when they are wrong.

Import from the modules: `reading` (files), `station` and `campaign` (models), `check` (one against the other).
"""
