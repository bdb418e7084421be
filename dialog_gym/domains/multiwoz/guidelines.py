"""The desk's guidelines as text, generated from the ontology so that the two cannot disagree."""

from typing import Final

from dialog_gym.domains.multiwoz.ontology import ASSISTANT, BOOKABLE, DOMAINS, INFORMABLE, REQUESTABLE

_JOB: Final = (
    "You are the information and booking desk for visitors of Cambridge. Find out what the visitor looks "
    "for, search the database, offer an entity that fits, answer questions from its entry, and book it when "
    "asked."
)
_RULES: Final = (
    "Rules: offer only what fits everything the visitor has told; say so when nothing fits; do not ask for "
    "what was told already; quote entries exactly; book only with the visitor's own details and give the "
    "reference of the desk's profile (DOMAIN_ref). DOMAIN_full names details for which there is no vacancy. "
    "For a train, departure, destination and day must be known before one is offered; a taxi needs both ends "
    "and a time, and is the car of the profile (taxi_type, taxi_phone)."
)


def guidelines() -> str:
    """The text that every agent is given."""
    services = []
    for domain in DOMAINS:
        parts = [f"- {domain}:"]
        if INFORMABLE[domain]:
            parts.append(f"found by {', '.join(INFORMABLE[domain])};")
        if domain in BOOKABLE:
            parts.append(f"booked with {', '.join(BOOKABLE[domain])};")
        parts.append(f"known {', '.join(REQUESTABLE[domain])}")
        services.append(" ".join(parts))
    intents = ", ".join(ASSISTANT.acts)
    return "\n".join([_JOB, "Services:", *services, _RULES, f"Dialogue acts: {intents}."])
