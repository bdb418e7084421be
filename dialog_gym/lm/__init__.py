"""Causal language models: loading, chat templates, and the engine that samples many dialogues at once."""
