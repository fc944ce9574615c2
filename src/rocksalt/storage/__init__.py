"""Storage: the run folder, its journal, its frames, and the files made from them."""
