"""Agents that must score near zero: if one of them does not, the benchmark is broken, not the agent good."""

from dialog_gym.acts import format_acts
from dialog_gym.agents.base import Agent
from dialog_gym.core import DialogGymError, DialogueAct, Observation
from dialog_gym.domains.credit.moves import MOVES
from dialog_gym.domains.credit.ontology import ASSISTANT_ACTS, PRODUCTS, REASONS


class Silent(Agent):
    """Says nothing at all."""

    name = "silent"

    def reply(self, observation: Observation) -> str:
        """An empty turn."""
        return ""


class HelloAndStop(Agent):
    """Greets, then says goodbye."""

    name = "hello-and-stop"

    def reply(self, observation: Observation) -> str:
        """Hello first, goodbye afterwards."""
        said = any(turn.role == "assistant" for turn in observation.dialogue)
        return "Thank you, goodbye." if said else "Hello, this is the shop's credit team."


class Random(Agent):
    """Random well-formed acts with random slot values."""

    name = "random"

    def reply(self, observation: Observation) -> str:
        """One or two random acts in notation."""
        return format_acts(self._act() for _ in range(int(self.rng.integers(1, 3))))

    def _act(self) -> DialogueAct:
        move = MOVES[int(self.rng.integers(1, len(MOVES)))]
        values = {
            "product": PRODUCTS[int(self.rng.integers(len(PRODUCTS)))],
            "amount": int(self.rng.integers(2, 200)) * 100,
            "rate": float(self.rng.choice([0.072, 0.108, 0.144, 0.198, 0.234])),
            "fee": float(self.rng.choice([0.0, 0.01, 0.02])),
            "days": 30,
            "months": int(self.rng.choice([3, 6, 12])),
            "interest": round(float(self.rng.uniform(1, 200)), 2),
            "monthly": round(float(self.rng.uniform(10, 900)), 2),
            "reason": REASONS[int(self.rng.integers(len(REASONS)))],
            "expires": "2025-12-31",
            "date": f"2025-{int(self.rng.integers(1, 13)):02d}-15",
        }
        wanted = [slot.rstrip("?") for slot in ASSISTANT_ACTS[move.intent]]
        slots = {slot: values[slot] for slot in wanted if slot in values}
        return DialogueAct(intent=move.intent, slots={move.slot: move.value, **slots} if move.slot else slots)


class RandomActions(Agent):
    """Random act-level actions, sensible or not: what to say is the domain's."""

    name = "random"
    sees_act_view = True

    def reply(self, observation: Observation) -> str:
        """One random action in notation."""
        if (view := observation.act_view) is None:
            raise DialogGymError("agent random needs the act-level view, which this domain does not have")
        action = [int(self.rng.integers(size)) for size in view.sizes]
        return format_acts(view.acts(action))


class AlwaysApprove(Agent):
    """Approves everything for everybody and asks for the signature."""

    name = "always-approve"

    def reply(self, observation: Observation) -> str:
        """Approval, offer and close in every turn."""
        return (
            "Good news: you are eligible for the instalment plan. I can offer you the instalment plan with "
            "10,000. Shall I set it up now?"
        )


class AlwaysRefuse(Agent):
    """Refuses everything to everybody."""

    name = "always-refuse"

    def reply(self, observation: Observation) -> str:
        """A refusal in every turn."""
        return "I am sorry, you are not eligible for the instalment plan because of your payment history."
