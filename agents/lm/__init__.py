"""Language models as agents: prompts, the shipped tiny model, and training."""
