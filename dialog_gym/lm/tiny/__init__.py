"""The shipped tiny language model, trained from scratch; see MODEL_CARD.md."""
