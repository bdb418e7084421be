"""A few turns of either side: what the text action spaces sample."""

from typing import Final

AGENT_SAMPLES: Final = (
    "Hello, this is the shop's credit team.",
    "ask_identity()",
    "How much would you like to borrow?",
    "offer(product=pay_later, amount=1000)",
    "Thank you for your time, goodbye.",
)
USER_SAMPLES: Final = (
    "Hello.",
    "Yes, that is me.",
    "confirm_identity()",
    "I would like to think about it.",
    "ask(topic=rate)",
    "No, thank you.",
)
