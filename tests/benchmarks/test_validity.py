"""Is the benchmark valid? Nothing trivial or gamed scores, references are apart, non-buyers walk away.

If one of these fails the benchmark is broken, not the agent good.
"""

import numpy as np
import pytest

from dialog_gym.agents.scripted import Customer, Scripted, act
from dialog_gym.benchmarks.evaluate import RunConfig
from dialog_gym.benchmarks.playing import play_chunk
from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.domains.credit.agent_wording import word_assistant
from dialog_gym.domains.credit.memory import remember
from dialog_gym.domains.credit.ontology import OBJECTIONS, SOLUTIONS
from dialog_gym.domains.credit.user_reader import read_user
from dialog_gym.metrics import rows_matrix
from dialog_gym.stats import paired_differences

SUITE = load_suite("credit-v1")
EPISODES = 600
NAMES = (
    "conversion", "net_conversion", "reached_conversion", "resolution", "tse", "success", "mis_sale_rate",
    "violation_rate", "non_buyer_acceptance", "buyer_conversion", "simulator_error_rate", "voided",
)  # fmt: skip
_PLAYED = {}


def matrix(agent):
    """The metric rows of an agent, by name or class, on the suite's first episodes; played once."""
    name = agent if isinstance(agent, str) else agent.__name__
    if name not in _PLAYED:
        service = agent if isinstance(agent, str) else agent()
        keys = SUITE.episodes(EPISODES, seed=0)
        chunks = [[key for key in keys if key.scenario == scenario] for scenario in SUITE.scenarios]
        played = [one for chunk in chunks for one in play_chunk(RunConfig(SUITE, name), service, chunk)]
        _PLAYED[name] = rows_matrix(played, NAMES)
    return _PLAYED[name]


def scores(agent):
    """Scores by metric; NaN where nothing was judged."""
    found = matrix(agent)
    weights = found.weights.sum(axis=0)
    sums = found.values.sum(axis=0)
    return {name: sums[i] / weights[i] if weights[i] else np.nan for i, name in enumerate(NAMES)}


NOTHING = ("silent", "hello-and-stop", "stall", "parrot", "always-close", "flood", "quote-first")


@pytest.mark.parametrize("agent", NOTHING)
def test_agents_that_do_nothing_right_score_nothing(agent):
    found = scores(agent)
    assert found["conversion"] <= 0.01 and found["tse"] <= 0.05
    assert found["success"] <= 0.05 and found["net_conversion"] <= 0.01


def test_a_random_agent_scores_nothing():
    found = scores("random")
    assert found["conversion"] <= 0.01 and found["tse"] <= 0.10 and found["success"] <= 0.05


@pytest.mark.parametrize("agent", ["always-approve", "always-refuse"])
def test_one_verdict_for_everybody_scores_nothing(agent):
    found = scores(agent)
    assert found["net_conversion"] <= 0.02 and found["success"] <= 0.05 and found["tse"] <= 0.05
    # some service users ask only whether they are eligible, and for some the one verdict is right
    assert found["resolution"] <= 0.12


def test_the_scripted_agent_is_a_real_reference():
    found = scores("scripted")
    assert 0.20 <= found["reached_conversion"] <= 0.60
    assert found["resolution"] >= 0.8 and found["mis_sale_rate"] == 0 and found["violation_rate"] <= 0.05


def test_the_oracle_is_an_upper_reference():
    scripted, oracle = scores("scripted"), scores("oracle")
    for metric in ("conversion", "success"):
        assert oracle[metric] >= 1.3 * scripted[metric], metric
    assert oracle["tse"] > scripted["tse"] and oracle["violation_rate"] == 0 == oracle["mis_sale_rate"]
    a, b = matrix("oracle"), matrix("scripted")
    assert a.clusters.tolist() == b.clusters.tolist()
    found = paired_differences(
        a.values, b.values, a.weights, b.weights, a.strata, a.clusters, resamples=2_000, seed=0
    )
    for metric in ("conversion", "success", "tse"):
        assert found[NAMES.index(metric)].low > 0, metric


@pytest.mark.parametrize("agent", ["scripted", "oracle", "always-approve", "flood", "random"])
def test_non_buyers_walk_away_and_no_dialogue_is_void(agent):
    found = scores(agent)
    assert (
        found["non_buyer_acceptance"] == 0 and found["voided"] == 0 and found["simulator_error_rate"] <= 0.01
    )


class Knowing(Scripted):
    """Base of the exploits below: they know every fact that the script can work out."""

    name = "exploit"

    def reply(self, observation):
        memory = remember(observation.dialogue, lambda text: read_user(text, self.rulebook))
        acts = self.plan(Customer(self.rulebook, observation, memory), memory)
        return word_assistant(acts, self.rulebook, self.wording + len(observation.dialogue))

    def verdict(self, customer, product):
        found = customer.verdict(product)
        reason = {} if found.eligible else {"reason": found.reason}
        return act(
            "inform_eligibility",
            product=product,
            verdict="eligible" if found.eligible else "ineligible",
            **reason,
        )

    def close(self, customer, product):
        return act("close", product=product, amount=min(customer.amount, customer.limit(product)))


class InfoFlood(Knowing):
    """Every right fact about one product, offer and close, in every turn."""

    def plan(self, customer, memory):
        if not memory.identity:
            return [act("ask_identity")]
        product = customer.choose() or "pay_later"
        offer = act("offer", product=product, amount=min(customer.amount, customer.limit(product)))
        said = [
            self.verdict(customer, product),
            *customer.terms(product),
            offer,
            self.close(customer, product),
        ]
        return [*said, act("inform_privacy"), act("inform_credit_check")]


class NoDiscovery(Knowing):
    """Approves and discloses rightly without asking what is needed, then closes after every answer."""

    def plan(self, customer, memory):
        if not memory.identity and "ask_identity" not in memory.said:
            return [act("greet"), act("ask_identity")]
        product = next((name for name in self.rulebook.products if customer.verdict(name).eligible), None)
        if product is None:
            return [act("goodbye")]
        terms = [] if "offer" in memory.said else [self.verdict(customer, product), *customer.terms(product)]
        return [
            *terms,
            act("offer", product=product, amount=customer.limit(product)),
            self.close(customer, product),
        ]


class AllAtOnce(Knowing):
    """All questions of the discovery in one turn, then everything else in the next; no turn wasted."""

    def plan(self, customer, memory):
        asks = [] if memory.identity else [act("ask_identity")]
        asks += [act("ask_need", slot=slot) for slot in customer.unknown_slots()]
        product = customer.choose()
        if asks or product is None:
            return asks or [act("goodbye")]
        answers = [said for topic in memory.open_questions for said in customer.answer(topic)]
        offer = act("offer", product=product, amount=min(customer.amount, customer.limit(product)))
        return [
            *answers,
            self.verdict(customer, product),
            *customer.terms(product),
            offer,
            self.close(customer, product),
        ]


class PreEmptive(AllAtOnce):
    """As above, and soothes every worry there could be, in every turn."""

    def plan(self, customer, memory):
        soothing = [act("address_objection", objection=objection) for objection in OBJECTIONS]
        return [*super().plan(customer, memory), act("empathise"), *soothing]


@pytest.mark.parametrize("exploit", [InfoFlood, NoDiscovery, AllAtOnce, PreEmptive])
def test_knowing_all_facts_does_not_replace_a_conversation(exploit):
    found, scripted = scores(exploit), scores("scripted")
    for metric in ("conversion", "success", "tse", "resolution"):
        assert found[metric] < scripted[metric], metric


class PromiseAll(Knowing):
    """Answers every topic and promises every solution there is, in every turn."""

    def plan(self, customer, memory):
        topics = (
            "fees",
            "credit_check",
            "privacy",
            "eligibility",
            "limit",
            "rate",
            "interest",
            "instalment",
            "reactivation",
        )
        answers = [said for topic in topics for said in customer.answer(topic)]
        asks = [] if memory.identity else [act("ask_identity")]
        return [*asks, *(act("solve", action=action) for action in SOLUTIONS), *answers]


def test_promising_everything_is_a_violation_and_sells_nothing():
    found, scripted = scores(PromiseAll), scores("scripted")
    assert found["violation_rate"] > 0.95 and found["conversion"] == 0
    assert found["success"] < scripted["success"] and found["tse"] < scripted["tse"]


def test_promising_everything_resolves_nothing():
    assert scores(PromiseAll)["resolution"] < scores("scripted")["resolution"]
