import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from dialog_gym import metrics, plugins
from dialog_gym.core import DialogGymError, DialogueAct, EndReason, Goal, Task, Trajectory, Turn, UserProfile
from dialog_gym.language import NOVELTY_TURNS, language_rewards
from dialog_gym.language_metrics import LANGUAGE_METRICS, LanguageMetric, contexts, language_rows


def act(intent: str, **slots: Any) -> DialogueAct:
    return DialogueAct(intent=intent, slots=slots)


def agent(text: str, *acts: DialogueAct) -> Turn:
    return Turn(role="assistant", text=text, acts=acts, thought="secret")


def user(text: str, *acts: DialogueAct) -> Turn:
    return Turn(role="user", text=text, acts=acts)


def dialogue(
    *turns: Turn,
    costs: Sequence[Mapping[str, float]] = (),
    domain: str = "toy",
    ended_by: EndReason = "declined",
    **outcome: Any,
) -> Trajectory:
    task = Task(
        id="t", domain=domain, scenario="chat", split="test", level=0,
        profile=UserProfile(id="u", attributes={"surname": "Chen", "age": 30}), goal=Goal(need="loan"),
    )  # fmt: skip
    return Trajectory(
        task=task,
        agent="a",
        seed=0,
        turns=turns,
        rewards=(),
        costs=tuple(costs),
        ended_by=ended_by,
        outcome=outcome,
    )


TALK = dialogue(
    agent("Hello, is that Ms. Chen?", act("greet"), act("ask_identity")),
    user("Yes. Rate? Fees?", act("confirm_identity"), act("ask", topic="rate"), act("ask", topic="fees")),
    agent("The rate is 19.8 %.", act("inform_rate", rate=0.198)),
    user("I need 500.", act("disclose", slot="amount", value=500)),
    agent("The limit is 900.", act("inform_limit", amount=900)),
    agent("The fee is 1 %.", act("inform_fees", fee=0.01)),
    user("Make it 300.", act("correct", slot="amount", value=300)),
    agent("Goodbye, Mr. Miller."),
    costs=({}, {}, {"wrong_limit": 1.0, "early_data": 1.0}, {"wrong_fees": 0.0}),
)  # fmt: skip


def test_contexts_follow_the_dialogue() -> None:
    found = list(contexts(TALK))
    assert [c.user_text for c in found] == [
        "", "Yes. Rate? Fees?", "I need 500.", "", "Make it 300.",
    ]  # fmt: skip
    assert [sorted(c.asked_topics) for c in found] == [[], ["fees", "rate"], ["fees"], ["fees"], []]
    assert [sorted(c.answered_topics) for c in found] == [[], ["rate"], ["limit"], ["fees"], []]
    assert [(c.right_claims, c.wrong_claims) for c in found] == [(0, 0), (1, 0), (0, 1), (1, 0), (0, 0)]
    assert [c.known for c in found][::2] == [
        {},
        {"identity": True, "amount": 500},
        {"identity": True, "amount": 300},
    ]
    assert (
        found[-1].previous_agent_texts
        == tuple(turn.text for turn in TALK.turns if turn.role == "assistant")[:-1]
    )
    assert found[0].profile["surname"] == "Chen" and found[0].reference is None


def test_only_the_turns_that_novelty_looks_at_are_kept() -> None:
    found = list(contexts(dialogue(*(agent(f"Turn {i}.") for i in range(9)))))
    assert found[-1].previous_agent_texts == tuple(f"Turn {i}." for i in range(8 - NOVELTY_TURNS, 8))


def test_values_are_means_of_the_judged_turns() -> None:
    rewards = [language_rewards(context) for context in contexts(TALK)]
    rows = language_rows([TALK])
    for name, (values, weights) in rows.items():
        assert weights[0] == (name != "rouge")
        if name not in ("gre", "rouge"):
            assert values[0] == pytest.approx(np.nanmean([reward[name] for reward in rewards]))
    assert rows["gre"][0][0] == pytest.approx(
        np.mean([np.nanmean(list(reward.values())) for reward in rewards])
    )
    assert rows["fidelity"][0][0] == pytest.approx(2 / 3)
    assert rows["coverage"][0][0] == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert rows["consistency"][0][0] < 1.0  # Mr. Miller


def test_void_unanswered_and_empty_dialogues_are_left_out() -> None:
    left_out = [
        dialogue(agent("Hello."), ended_by="error"),
        dialogue(agent("Hello."), reached=False),
        dialogue(user("Hello?")),
    ]
    rows = language_rows([*left_out, dialogue(agent("Hello."), reached=True)])
    assert list(rows["naturalness"][1]) == [0, 0, 0, 1]
    for values, weights in language_rows([]).values():
        assert values.shape == weights.shape == (0,)


def test_reference_judges_rouge() -> None:
    same = LanguageMetric("rouge", "", lambda acts: "Hello." if acts else None)
    values, weights = same.rows([dialogue(agent("Hello.", act("greet"))), dialogue(agent("Hello."))])
    assert list(values) == [1.0, 0.0] and list(weights) == [1.0, 0.0]


class Shop:
    def word_assistant(self, acts: Sequence[DialogueAct], key: int) -> str:
        if any(act.intent == "offer" for act in acts):
            raise DialogGymError("offer lacks a product")
        return "Hello."


def test_the_shared_domain_words_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    shops = {"shop": Shop, "mute": object}
    monkeypatch.setattr(plugins, "names", lambda kind: sorted(shops) if kind == "domains" else [])
    monkeypatch.setattr(plugins, "load", lambda kind, name: shops[name])
    metrics.reference_of.cache_clear()
    try:
        here = [
            dialogue(agent("Hello."), domain="shop"),
            dialogue(agent("Hello.", act("offer")), domain="shop"),
        ]
        found = metrics.score_all(here, resamples=10)
        assert (found["rouge"].value, found["rouge"].n) == (1.0, 1)
        for others in ([*here, dialogue(agent("Hello."))], [dialogue(agent("Hello."), domain="mute")]):
            assert math.isnan(metrics.score_all(others, resamples=10)["rouge"].value)
    finally:
        metrics.reference_of.cache_clear()


def test_unknown_domain() -> None:
    with pytest.raises(DialogGymError, match="unknown domain 'nowhere'"):
        metrics.metric_set("nowhere")
    assert set(metrics.metric_set()) >= set(LANGUAGE_METRICS)


def test_the_credit_shop_words_its_own_acts() -> None:
    shop = plugins.load("domains", "credit")()
    acts = (act("greet"), act("inform_rate", product="pay_later", rate=0.198))
    spoken = agent(shop.word_assistant(acts, 0), *acts)
    assert metrics.score_all([dialogue(spoken, domain="credit")], 10, names=["rouge"])["rouge"].value == 1.0
