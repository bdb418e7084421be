"""Learning: algorithms over arrays of decisions, the training loop, and what they learn from."""
