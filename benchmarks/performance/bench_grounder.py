"""Cost of reading free text: the grounder (agent turns) and the user reader (user turns).

Run: ``pytest -c benchmarks/performance/pytest.ini benchmarks/performance/bench_grounder.py``. The sentences
have another number every time, so that no cache knows them whole.
"""

from itertools import count
from typing import Any

import pytest

from dialog_gym.benchmarks.speed import SENTENCES
from dialog_gym.core import DialogueAct, Scalar
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.user_wording import word_user

DOMAIN = CreditDomain()
USER_ACTS = (
    (DialogueAct(intent="confirm_identity"), DialogueAct(intent="ask", slots={"topic": "rate"})),
    (DialogueAct(intent="disclose", slots={"slot": "amount", "value": 5000}),),
    (DialogueAct(intent="object", slots={"objection": "privacy"}),),
    (DialogueAct(intent="accept"),),
)
PERSONA: dict[str, Scalar] = {
    "verbosity": "chatty",
    "typos": 0.06,
    "buyer_style": "default",
    "code_words": True,
}


@pytest.mark.parametrize("number", range(len(SENTENCES)))
def test_grounder(benchmark: Any, number: int) -> None:
    """One agent sentence in a dialogue, with a number in it that was not seen before."""
    fresh = count(1000)
    benchmark.extra_info["text"] = SENTENCES[number]
    benchmark.pedantic(
        DOMAIN.read_assistant,
        setup=lambda: ((f"{SENTENCES[number]} My extension is {next(fresh)}.",), {}),
        rounds=300,
        warmup_rounds=20,
    )


def test_user_wording_and_reading(benchmark: Any) -> None:
    """A user turn put into words and read back, which the simulator's audit does every turn."""
    fresh = count()

    def turn() -> int:
        key = next(fresh)
        acts = USER_ACTS[key % len(USER_ACTS)]
        text = word_user(acts, PERSONA, key, profile={}, rulebook=DOMAIN.rulebook, garbled=False)
        return len(DOMAIN.read_user(text))

    benchmark.pedantic(turn, rounds=500, warmup_rounds=50)
