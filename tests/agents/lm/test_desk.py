"""The desk sheet says what the shop's reasoning functions say."""

import pytest

from dialog_gym.agents.lm.desk import desk_sheet
from dialog_gym.agents.lm.prompts import system_message
from dialog_gym.agents.scripted import Customer
from dialog_gym.domains.credit.memory import Memory
from dialog_gym.domains.quantities import format_amount, format_percent
from dialog_gym.envs import DialogueEnv


@pytest.fixture(scope="module")
def episodes():
    return DialogueEnv(split="train").begin_many(list(range(40)), list(range(40)))


def test_every_product_is_as_the_script_works_it_out(episodes):
    verdicts = set()
    for episode in episodes:
        profile = episode.task.profile.attributes
        if profile["monthly_income"] is None:
            continue
        rulebook = episode.domain.rulebook
        customer = Customer(rulebook, episode.observation, Memory())
        for name, sentence in zip(rulebook.products, desk_sheet(profile), strict=True):
            verdict = customer.verdict(name)
            verdicts.add(verdict.eligible)
            label, _, told = sentence.partition(": ")
            assert label == rulebook.products[name].label
            if verdict.eligible:
                limit, rate = format_amount(customer.limit(name)), format_percent(customer.rate(name))
                assert told == f"{limit}, rate {rate}, fee {format_percent(rulebook.products[name].fee)}."
            else:
                assert told == f"no, {verdict.reason.replace('_', ' ')}."
    assert verdicts == {True, False}


def test_the_sheet_is_in_the_desk_prompt_only(episodes):
    profile = episodes[0].task.profile.attributes
    desk, compact = (system_message(profile, "", style=style) for style in ("desk", "compact"))
    assert all(sentence in desk for sentence in desk_sheet(profile))
    assert not any(sentence in compact for sentence in desk_sheet(profile))


def test_an_unknown_income_does_not_refuse_anybody(episodes):
    profile = {**episodes[0].task.profile.attributes, "monthly_income": None}
    assert not any("no, income" in sentence for sentence in desk_sheet(profile))


def test_customers_of_other_shops_have_no_sheet():
    assert desk_sheet({"name": "Kim"}) == []
    assert "Kim" in system_message({"name": "Kim"}, "", style="desk")
