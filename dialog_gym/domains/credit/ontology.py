"""The dialogue acts of the credit shop: who may say what, with which slots.

The order of every tuple is part of the contract: positions are bit numbers in `state.py` and indices in
the act-level action space.
"""

from typing import Final

PRODUCTS: Final = ("pay_later", "instalment", "revolving", "cash_loan", "starter_line")
PURPOSES: Final = ("shopping", "home", "medical", "education", "cash_flow")
TIMINGS: Final = ("now", "this_month", "later")
NEED_SLOTS: Final = ("amount", "purpose", "timing", "income")
TOPICS: Final = (
    "eligibility", "limit", "rate", "interest", "instalment", "coupon", "fees", "reactivation",
    "credit_check", "privacy",
)  # fmt: skip
OBJECTIONS: Final = ("fees", "credit_check", "privacy", "bad_experience", "enough_money")
PROBLEMS: Final = (
    "statement_missing", "account_locked", "wrong_charge", "coupon_not_applied", "due_date",
)  # fmt: skip
SOLUTIONS: Final = (
    "resend_statement", "unlock_account", "correct_charge", "apply_coupon", "change_due_date",
)  # fmt: skip
NEXT_STEPS: Final = ("pay_overdue", "reactivate", "wait", "smaller_amount", "other_product", "update_income")

# reason codes an eligibility verdict may carry; the rulebook's conditions name one each
REASONS: Final = (
    "age", "tenure", "income", "overdue", "utilisation", "inactive", "no_credit_line", "recent_grant",
    "thin_file",
)  # fmt: skip

# intent -> its slots. Slots marked '?' may be left out.
ASSISTANT_ACTS: Final[dict[str, tuple[str, ...]]] = {
    "greet": (),
    "ask_identity": (),  # asks the customer to confirm who they are
    "ask_need": ("slot",),  # slot is one of NEED_SLOTS
    "clarify": (),  # asks the customer to repeat
    "inform_eligibility": ("product", "verdict", "reason?"),  # verdict is eligible | ineligible
    "inform_limit": ("product", "amount"),  # the most this customer can have on that product
    "inform_rate": ("product", "rate"),  # annual rate as a fraction: 0.198
    "inform_interest": ("amount", "days", "interest", "product?"),  # what `amount` costs over `days`
    "inform_instalment": ("amount?", "months", "monthly", "product?"),
    "inform_coupon": ("amount?", "days?", "expires?"),  # coupon value, interest-free days, last valid date
    "inform_fees": ("product", "fee"),  # set-up fee as a fraction of the amount: 0.01
    "inform_reactivation": ("date",),  # earliest date a dormant or suspended account can be reopened
    "inform_credit_check": (),  # says which credit check is made (soft only)
    "inform_privacy": (),  # says how data are used and protected
    "offer": ("product", "amount?", "months?"),
    "close": ("product?", "amount?"),  # asks for the decision
    "address_objection": ("objection",),
    "advise": ("step",),  # next step for somebody who is refused; one of NEXT_STEPS
    "solve": ("action",),  # one of SOLUTIONS
    "empathise": (),
    "acknowledge": (),
    "urge": (),  # pressure: "only today", "you would be foolish not to"
    "smalltalk": (),
    "hand_over": (),  # passes the customer to a human colleague
    "goodbye": (),
}

USER_ACTS: Final[dict[str, tuple[str, ...]]] = {
    "greet": (),
    "confirm_identity": (),
    "disclose": ("slot", "value"),  # slot is one of NEED_SLOTS
    "correct": ("slot", "value"),  # a change of mind
    "ask": ("topic", "product?"),
    "report": ("problem",),
    "object": ("objection",),
    "agree": (),
    "accept": ("product?",),
    "decline": (),
    "consider": (),  # deliberates, wants to think about it
    "challenge": ("topic?",),  # noticed a wrong fact
    "unclear": (),  # did not follow, or cannot be understood
    "complain": (),
    "request_human": (),
    "confirm_solved": (),
    "thank": (),
    "smalltalk": (),
    "goodbye": (),
}

ASSISTANT_INTENTS: Final = tuple(ASSISTANT_ACTS)
USER_INTENTS: Final = tuple(USER_ACTS)
VERDICTS: Final = ("eligible", "ineligible")

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "product": PRODUCTS,
    "verdict": VERDICTS,
    "reason": REASONS,
    "objection": OBJECTIONS,
    "step": NEXT_STEPS,
    "action": SOLUTIONS,
    "slot": NEED_SLOTS,
    "topic": TOPICS,
    "problem": PROBLEMS,
}
"""Slots with closed values. Numbers: amount, interest, monthly, fee, rate, days, months. Dates are ISO."""
