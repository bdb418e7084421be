"""Corpus evaluation of MultiWOZ: Inform, Success, BLEU and Combined of a file of predicted responses.

It scores as the community's standardised evaluator does: Nekvinda & Dusek, "Shades of BLEU, Flavours of
Success: The Case of MultiWOZ", GEM 2021 (arXiv 2106.05555), with the code they published as
Tomiinek/MultiWOZ_Evaluation (commit 54037de). Each rule stands in the docstring of the module that keeps it:

============  ==========================================================================================
module        rules
============  ==========================================================================================
slots         one set of placeholders for all delexicalisation styles; spellings of slots and values
wording       how a response is normalised before it is searched and compared
venues        which venues and trains match a set of constraints
judging       offers, bookings, requestables: Inform and Success of one dialogue; active domains
language      BLEU by sacrebleu; lengths, distinct n-grams, entropies, MSTTR
corpus        goals, bookings, gold states and references, read from the MultiWOZ files
predictions   the file format and what is wrong with a file
evaluation    all dialogues together, with bootstrap intervals
============  ==========================================================================================
"""

SUITE = "multiwoz-corpus"
"""The name of this evaluation on the command line and in results."""
