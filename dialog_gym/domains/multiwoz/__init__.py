"""MultiWOZ: the corpus, its seven databases and its user goals."""
