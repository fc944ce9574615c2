"""The diamond-anvil cell: gas behind a membrane, and what of it arrives at the sample."""
