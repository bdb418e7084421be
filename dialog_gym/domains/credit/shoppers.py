"""Who the shoppers are: hidden need, persona and agenda, drawn for N task keys at once.

Every quantity of a shopper depends only on the shopper's 64-bit key, so a task is the same alone or
in a batch.
"""

from dataclasses import dataclass, fields

import numpy as np

from dialog_gym.domains.credit.difficulty import Axes
from dialog_gym.domains.credit.facts import Facts, derive
from dialog_gym.domains.credit.ontology import (
    NEED_SLOTS,
    PROBLEMS,
    PURPOSES,
    SOLUTIONS,
    TOPICS,
)
from dialog_gym.domains.credit.profiles import Profiles, concat, generate, take
from dialog_gym.domains.credit.rulebook import Rulebook
from dialog_gym.noise import mix_array, normal, uniform_block

SALE, SERVICE = 0, 1
SCENARIOS = ("proactive_sale", "customer_service")
STYLES = ("default", "sceptical", "impulsive", "analytical")
TRAINING_STYLES = ("default", "sceptical", "impulsive")
"""`analytical` is held out: never used by the train and validation splits unless asked for by name."""
VERBOSITIES = ("terse", "neutral", "chatty")

REACHED_SHARE = 0.4
BUYER_SHARE = 0.75
CANDIDATES = 6
"""Profiles drawn per shopper to meet the wanted share of ineligible ones; the last is kept if none does."""

_MEDIAN_AMOUNT = np.asarray([1200, 5000, 2500, 4000, 1500])  # by purpose, shop currency
_INCOME_BIT = 1 << NEED_SLOTS.index("income")


@dataclass(frozen=True)
class Shoppers:
    """Hidden state at the start, arrays of length N (bitmasks are int64)."""

    profiles: Profiles
    facts: Facts
    scenario: np.ndarray
    """int64[N], index into SCENARIOS."""
    reached: np.ndarray
    """bool[N]; always true in the service scenario."""
    buyer: np.ndarray
    """bool[N], whether there is a need at all; non-buyers must walk away."""
    strength: np.ndarray
    """float[N], strength of the need in [0, 1]."""
    purpose: np.ndarray
    timing: np.ndarray
    amount: np.ndarray
    """int64[N], amount wanted at first."""
    new_amount: np.ndarray
    """int64[N], amount wanted after a change of mind."""
    change_turn: np.ndarray
    """int64[N], assistant turn from which the mind changes; 0 = never."""
    fits: np.ndarray
    """float[N, P], how well each product suits the purpose, 0 to 1."""
    suits: np.ndarray
    """bitmask[N] of products with positive fit."""
    solvable: np.ndarray
    """bitmask[N] of products that suit, are allowed and leave room for at least half the amount."""
    required: np.ndarray
    """bitmask[N] of NEED_SLOTS that must be asked for."""
    missing_income: np.ndarray
    questions: np.ndarray
    """bitmask[N] of TOPICS the user wants answered."""
    objections: np.ndarray
    """bitmask[N] of OBJECTIONS."""
    problem: np.ndarray
    """int64[N], index into PROBLEMS, -1 without."""
    fix_actions: np.ndarray
    """bitmask[N] of SOLUTIONS that solve the problem."""
    fix_topics: np.ndarray
    """bitmask[N] of TOPICS whose right answer settles the problem."""
    style: np.ndarray
    trust: np.ndarray
    patience: np.ndarray
    price_sensitivity: np.ndarray
    knowledge: np.ndarray
    """float[N], probability of noticing a wrong fact."""
    typos: np.ndarray
    verbosity: np.ndarray
    code_words: np.ndarray

    def take(self, index: np.ndarray) -> "Shoppers":
        """Some of the shoppers."""
        rows = {
            f.name: getattr(self, f.name)[index] for f in fields(self) if f.name not in ("profiles", "facts")
        }
        return Shoppers(profiles=take(self.profiles, index), facts=self.facts.take(index), **rows)


def _need(uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Purpose and wanted amount (a multiple of 50 from 200 to 30,000)."""
    purpose = (uniform[:, 0] * len(PURPOSES)).astype(np.int64)
    spread = np.exp(0.6 * normal(uniform[:, 1]))
    amount = np.clip(np.round(_MEDIAN_AMOUNT[purpose] * spread / 50) * 50, 200, 30_000).astype(np.int64)
    return purpose, amount


def fit_table(rulebook: Rulebook) -> np.ndarray:
    """How well each product suits each purpose, float[purposes, P]."""
    products = rulebook.products.values()
    return np.asarray([[product.suits.get(purpose, 0.0) for product in products] for purpose in PURPOSES])


def solvable_mask(facts: Facts, fits: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """bitmask[N] of products that suit, are allowed and leave room for at least half the amount."""
    masks: np.ndarray = facts.eligible & bits((fits > 0) & (facts.limits * 2 >= amount[:, None]))
    return masks


def bits(flags: np.ndarray) -> np.ndarray:
    """bool[N, k] to bitmask[N]."""
    masks: np.ndarray = (flags.astype(np.int64) << np.arange(flags.shape[1])).sum(axis=1)
    return masks


def _choose_customers(
    keys: np.ndarray, rulebook: Rulebook, axes: Axes, profiles: Profiles | None
) -> tuple[Profiles, Facts, np.ndarray, np.ndarray, np.ndarray]:
    """Profiles, needs and facts so that a share ``axes.ineligible`` has no allowed product for its need.

    With given ``profiles`` (real rows) only the need is redrawn.
    """
    wanted_ineligible = uniform_block(keys, 1, stream=1)[:, 0] < axes.ineligible
    fits = fit_table(rulebook)
    chosen: list[tuple[Profiles, Facts, np.ndarray, np.ndarray, np.ndarray]] = []
    open_rows = np.arange(len(keys))
    picked_rows: list[np.ndarray] = []
    for candidate in range(CANDIDATES):
        sub = mix_array(keys[open_rows], candidate)
        drawn = generate(sub) if profiles is None else take(profiles, open_rows)
        purpose, amount = _need(uniform_block(sub, 2, stream=2))
        facts = derive(drawn, rulebook, axes.branches)
        solvable = solvable_mask(facts, fits[purpose], amount)
        match = (solvable == 0) == wanted_ineligible[open_rows]
        if candidate == CANDIDATES - 1:
            match = np.ones_like(match)
        keep = np.flatnonzero(match)
        chosen.append((take(drawn, keep), facts.take(keep), purpose[keep], amount[keep], solvable[keep]))
        picked_rows.append(open_rows[keep])
        open_rows = open_rows[~match]
    order = np.argsort(np.concatenate(picked_rows))
    merged = Facts(
        **{
            f.name: np.concatenate([getattr(part[1], f.name) for part in chosen])[order]
            for f in fields(Facts)
        }
    )
    columns = [np.concatenate([np.asarray(part[i]) for part in chosen])[order] for i in (2, 3, 4)]
    return take(concat([part[0] for part in chosen]), order), merged, columns[0], columns[1], columns[2]


def _agenda(
    uniform: np.ndarray, service: np.ndarray, reads_much: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Question topics and objections: service users ask 1-3, sale users 0-2, analytical ones one more."""
    order = np.argsort(uniform[:, : len(TOPICS)], axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    count = np.where(
        service, 1 + (uniform[:, 10] > 0.5) + (uniform[:, 11] > 0.8), (uniform[:, 10] * 2.5).astype(int)
    )
    questions = bits(rank < (count + reads_much)[:, None])
    order = np.argsort(uniform[:, 12:17], axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    how_many = (uniform[:, 17] > 0.35).astype(int) + (uniform[:, 18] > 0.75)
    return questions, np.where(service, 0, bits(rank < how_many[:, None]))


def problem_fixes(problem: np.ndarray, facts: Facts, rulebook: Rulebook) -> tuple[np.ndarray, np.ndarray]:
    """Bitmasks of solutions and of answers that settle each problem, given the customer's facts."""
    actions, topics = np.zeros_like(problem), np.zeros_like(problem)
    expired = (facts.coupon_expires > 0) & ~facts.coupon_ok
    exceptions = {"inactive": facts.inactive, "coupon_expired": expired}
    for i, name in enumerate(PROBLEMS):
        rule, mine = rulebook.problems[name], problem == i
        exempt = exceptions[rule.unless] if rule.unless else np.zeros(len(problem), bool)
        actions |= np.where(mine & ~exempt, 1 << SOLUTIONS.index(rule.solution), 0)
        if rule.answer_instead:
            topics |= np.where(mine & exempt, 1 << TOPICS.index(rule.answer_instead), 0)
    return actions, topics


def draw(
    keys: np.ndarray,
    scenario: np.ndarray,
    rulebook: Rulebook,
    axes: Axes,
    styles: tuple[str, ...],
    profiles: Profiles | None = None,
) -> Shoppers:
    """Draw N shoppers.

    Args:
        keys: uint64[N], one per task.
        scenario: int64[N], index into SCENARIOS.
        rulebook: The shop's rules.
        axes: Difficulty.
        styles: Buyer styles to draw from, uniformly.
        profiles: N given profiles (real rows) instead of generated ones.
    """
    service = scenario == SERVICE
    drawn, facts, purpose, amount, solvable = _choose_customers(keys, rulebook, axes, profiles)
    u = uniform_block(keys, 24, stream=3)
    v = uniform_block(keys, 20, stream=4)
    style = np.asarray([STYLES.index(name) for name in styles])[(u[:, 0] * len(styles)).astype(np.int64)]
    questions, objections = _agenda(v, service, (style == STYLES.index("analytical")).astype(int))
    has_problem = service & (u[:, 1] < 0.5)
    problem = np.where(has_problem, (u[:, 2] * len(PROBLEMS)).astype(np.int64), -1)
    no_coupon = facts.coupon_expires == 0
    problem = np.where(no_coupon & (problem == PROBLEMS.index("coupon_not_applied")), 0, problem)
    questions = np.where(no_coupon, questions & ~(1 << TOPICS.index("coupon")), questions)
    questions = np.where(service & ~has_problem & (questions == 0), 1 << TOPICS.index("limit"), questions)
    questions = np.where(has_problem & (u[:, 3] < 0.6), 0, questions)
    fix_actions, fix_topics = problem_fixes(problem, facts, rulebook)
    missing = u[:, 4] < axes.missing
    required = (1 << axes.discovery) - 1 | np.where(missing, _INCOME_BIT, 0)
    changed = np.clip(np.round(amount * np.where(u[:, 5] < 0.5, 0.6, 1.5) / 50) * 50, 200, 30_000).astype(
        np.int64
    )
    fits = fit_table(rulebook)[purpose]
    noise = normal(u[:, 6:10])
    return Shoppers(
        profiles=drawn,
        facts=facts,
        scenario=scenario.astype(np.int64),
        reached=service | (u[:, 10] < REACHED_SHARE),
        buyer=service | (u[:, 11] < BUYER_SHARE),
        strength=np.round(0.3 + 0.7 * u[:, 12], 4),
        purpose=purpose,
        timing=(u[:, 13] * 3).astype(np.int64),
        amount=amount,
        new_amount=changed,
        change_turn=np.where(
            ~service & (u[:, 14] < axes.mind_change), 3 + (u[:, 15] * 3).astype(np.int64), 0
        ),
        fits=fits,
        suits=bits(fits > 0),
        solvable=np.where(service, 0, solvable),
        required=np.where(service, 0, required),
        missing_income=missing,
        questions=questions,
        objections=objections,
        problem=problem,
        fix_actions=fix_actions,
        fix_topics=fix_topics,
        style=style,
        trust=np.round(np.clip(axes.trust + 0.12 * noise[:, 0], 0.05, 0.95), 4),
        patience=np.round(np.clip(axes.patience + 1.0 * noise[:, 1], 2.0, 12.0), 4),
        price_sensitivity=np.round(np.clip(axes.price_sensitivity + 0.15 * noise[:, 2], 0.0, 1.0), 4),
        knowledge=np.round(np.clip(0.5 + 0.2 * noise[:, 3], 0.05, 0.95), 4),
        typos=np.full(len(keys), axes.typos),
        verbosity=(u[:, 16] * len(VERBOSITIES)).astype(np.int64),
        code_words=u[:, 17] < 0.25,
    )
