"""The rulebook: its numbers, its errors, and a shop extended by data only."""

import tomllib
from importlib.resources import files

import numpy as np
import pytest

from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.ontology import PRODUCTS, PURPOSES
from dialog_gym.domains.credit.rulebook import load_rulebook
from dialog_gym.envs import ActsEnv, DialogueEnv

SHIPPED = (files("dialog_gym.domains.credit") / "rulebook.toml").read_text("utf-8")

# The price list as a person would write it: annual rates by tier in percent, fee in percent, terms in months.
PRICES = {
    "pay_later": ((0, 0, 0, 7.2, 10.8), 0, (1, 3)),
    "instalment": ((7.2, 10.8, 14.4, 18.0, 19.8), 1, (3, 6, 12, 24)),
    "revolving": ((7.2, 10.8, 14.4, 19.8, 23.4), 0, (1,)),
    "cash_loan": ((10.8, 14.4, 18.0, 19.8, 23.4), 2, (6, 12, 24)),
    "starter_line": ((14.4, 14.4, 18.0, 19.8, 23.4), 1, (1, 3)),
}
# shopping, home, medical, education, cash_flow
SUITS = {
    "pay_later": (1.0, 0, 0.5, 0, 0.5),
    "instalment": (0.5, 1.0, 0, 1.0, 0),
    "revolving": (0, 0.5, 0.5, 0, 1.0),
    "cash_loan": (0, 0.5, 1.0, 0.5, 0.5),
    "starter_line": (0.5, 0, 0, 0.5, 0.5),
}
SIXTH = """
[products.green_loan]
label = "Green Loan"
names = ["green loan", "eco credit"]
suits = { home = 1.0 }
rates = [0.0, 0.072, 0.072, 0.108, 0.144]
fee = 0.005
months = [12, 24]
limit = { base = "credit_limit", share = 0.5, cap = 20000 }
conditions = [{ attribute = "age", op = ">=", value = 18, reason = "age" }]
"""


def test_the_products_stand_in_the_ontologys_order():
    assert tuple(load_rulebook().products) == PRODUCTS == tuple(PRICES)


@pytest.mark.parametrize("name", PRODUCTS)
def test_price_list(name):
    product = load_rulebook().products[name]
    rates, fee, months = PRICES[name]
    assert [round(rate * 100, 6) for rate in product.rates] == list(rates)
    assert round(product.fee * 100, 6) == fee
    assert product.months == months


@pytest.mark.parametrize("name", PRODUCTS)
def test_what_each_product_is_for(name):
    suits = load_rulebook().products[name].suits
    assert tuple(suits.get(purpose, 0) for purpose in PURPOSES) == SUITS[name]


def test_every_purpose_has_a_product_that_fits_it_fully():
    for purpose in PURPOSES:
        assert max(product.suits.get(purpose, 0) for product in load_rulebook().products.values()) == 1


def test_ladder_and_rate_grid():
    rulebook = load_rulebook()
    assert rulebook.ladder == (
        200, 500, 1000, 1500, 2000, 3000, 5000, 8000, 10000, 15000, 20000, 30000, 50000,
    )  # fmt: skip
    assert rulebook.rate_grid == (0.0, 0.072, 0.108, 0.144, 0.18, 0.198, 0.234)


def test_conditions_switch_on_with_the_level():
    rulebook = load_rulebook()
    counts = [sum(len(rulebook.conditions(name, level)) for name in PRODUCTS) for level in range(10)]
    assert counts == [20, 20, 21, 22, 23, 24, 25, 26, 26, 26]


def test_problems_and_their_right_solutions():
    problems = load_rulebook().problems
    assert {name: (p.solution, p.unless, p.answer_instead) for name, p in problems.items()} == {
        "statement_missing": ("resend_statement", None, None),
        "account_locked": ("unlock_account", "inactive", "reactivation"),
        "wrong_charge": ("correct_charge", None, None),
        "coupon_not_applied": ("apply_coupon", "coupon_expired", "coupon"),
        "due_date": ("change_due_date", None, None),
    }


def _broken(tmp_path, old, new, count=1):
    text = SHIPPED.replace(old, new, count)
    assert text != SHIPPED
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(DialogGymError) as caught:
        load_rulebook(path)
    message = str(caught.value)
    assert "\n" not in message and message.startswith("rulebook mine.toml: ")
    return message


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('label = "Pay Later"\n', "", "products.pay_later.label: Field required"),
        ('attribute = "age"', 'attribute = "shoe_size"', "products.pay_later.conditions.0.attribute"),
        ('op = ">="', 'op = "=>"', "products.pay_later.conditions.0.op"),
        ('reason = "age"', 'reason = "mood"', "unknown reason 'mood'; known: age, tenure"),
        ("from_level = 4", "from_level = 10", "products.pay_later.conditions.3.from_level"),
        ("rates = [0.0, 0.0, 0.0, 0.072, 0.108]", "rates = [0.0, 0.0, 0.0, 0.072, 0.11]",
         "products.pay_later.rates: every rate must be on rate_grid"),
        ("rates = [0.0, 0.0, 0.0, 0.072, 0.108]", "rates = [0.0, 0.072]",
         "products.pay_later.rates: 2 rates given, 5 price tiers needed"),
        ("suits = { shopping = 1.0, ", "suits = { gambling = 1.0, ",
         "products.pay_later.suits: purposes are shopping, home, medical, education, cash_flow"),
        ("fee = 0.0", "fee = 1.5", "products.pay_later.fee"),
        ("share = 0.5", "share = 0", "products.pay_later.limit.share"),
        ("cap = 5000", "cap = -1", "products.pay_later.limit.cap"),
        ('base = "credit_left"', 'base = "mood"', "products.pay_later.limit.base"),
        ("ladder = [200, 500,", "ladder = [500, 200,", "ladder: amounts must rise"),
        ('wrong_charge = { solution = "correct_charge" }\n', "", "problems.wrong_charge: missing"),
        ('solution = "correct_charge"', 'solution = "shrug"', "problems.wrong_charge.solution"),
        ('version = "1"', 'version = "1"\ncolour = "red"', "colour: Extra inputs are not permitted"),
        ("dormant = 7", "asleep = 7", "reactivation.wait_days.asleep"),
        ("[products.pay_later]", "[products.pay_later", "not valid TOML"),
    ],
)  # fmt: skip
def test_schema_errors_name_the_field_in_one_line(tmp_path, old, new, says):
    assert says in _broken(tmp_path, old, new)


def test_a_file_that_is_not_utf8_or_not_there(tmp_path):
    path = tmp_path / "latin.toml"
    path.write_bytes('label = "Ma\u00dfe"'.encode("latin-1"))
    for bad in (path, tmp_path / "nowhere.toml"):
        with pytest.raises(DialogGymError, match="cannot be read as UTF-8 text") as caught:
            load_rulebook(bad)
        assert "\n" not in str(caught.value) and str(bad) in str(caught.value)


def test_the_shipped_rulebook_given_as_a_path_is_the_shipped_rulebook(tmp_path):
    path = tmp_path / "same.toml"
    path.write_text(SHIPPED, "utf-8")
    assert load_rulebook(path) == load_rulebook() == load_rulebook(str(path))


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop") / "six.toml"
    path.write_text(SHIPPED + SIXTH, "utf-8")
    return path


def test_a_sixth_product_by_data_alone_reaches_tasks_and_spaces(extended):
    domain = CreditDomain(rulebook=extended)
    assert domain.products == (*PRODUCTS, "green_loan")
    assert domain.choices["product"][-1] == "green_loan"
    guidelines = domain.task(0, split="test", level=3).guidelines
    assert "Green Loan (green_loan): suits home" in guidelines
    assert "12/24 months" in guidelines and "0.5%" in guidelines
    space = domain.space(split="test", scenario="proactive_sale", level=3)
    starts = domain.starts(space, np.arange(200), np.arange(200).astype(np.uint64))
    assert starts.state.limits.shape == (200, 6)
    assert (starts.state.eligible >> 5 & 1).any() and (starts.state.solvable >> 5 & 1).any()
    acts = ActsEnv(rulebook=extended)
    assert acts.action_space.nvec[2] == 6
    observation, _ = acts.reset(seed=0)
    assert acts.observation_space.contains(observation)
    assert acts.observation_space.shape[0] > ActsEnv().observation_space.shape[0]
    assert CreditDomain().config_hash != domain.config_hash


def test_a_dialogue_about_the_sixth_product_is_judged_by_its_own_rules(extended):
    env = DialogueEnv(rulebook=extended, split="test", level=0)
    space = env.domain.space(split="test", scenario="proactive_sale", level=0)
    starts = env.domain.starts(space, np.arange(100), np.zeros(100, np.uint64))
    index = int(np.flatnonzero((starts.state.eligible >> 5 & 1 == 1) & starts.shoppers.reached)[0])
    limit = starts.state.limits[index, 5]
    env.reset(seed=0, options={"task": index})
    *_, info = env.step("ask_identity()")
    *_, info = env.step(
        f"inform_fees(product=green_loan, fee=0.005) inform_limit(product=green_loan, amount={limit})"
    )
    assert not [name for name in info["costs"] if name.startswith("wrong_")]
    *_, info = env.step("inform_fees(product=green_loan, fee=0.01)")
    assert "wrong_fees" in info["costs"]


def test_its_names_are_understood_in_free_text(extended):
    acts = CreditDomain(rulebook=extended).read_assistant("Shall I set up the eco credit for 2,000?")
    assert any(act.slots.get("product") == "green_loan" for act in acts)


def test_the_file_is_plain_toml():
    assert set(tomllib.loads(SHIPPED)["products"]) == set(PRODUCTS)
