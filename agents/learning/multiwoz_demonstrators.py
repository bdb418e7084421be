"""The population of `demonstrators` at the booking desk of MultiWOZ."""

from dialog_gym.agents.learning.demonstrators import SLIP
from dialog_gym.agents.multiwoz_oracle import MultiWOZOracle, no_goal
from dialog_gym.agents.multiwoz_scripted import MultiWOZScripted
from dialog_gym.core import DialogueAct, Observation
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, INFORMABLE


class NoisyDesk(MultiWOZScripted):
    """The rules with slips: a needless question, a denial, a booking nobody asked for, small talk, a bye."""

    name = "noisy-scripted"

    def acts(self, observation: Observation) -> list[DialogueAct]:
        """What the rules say, or a slip."""
        acts = super().acts(observation)
        if self.domain is None or self.rng.random() >= SLIP:
            return acts
        slips = self._slips(self.domain)
        return [slips[int(self.rng.integers(len(slips)))]]

    def _slips(self, domain: str) -> list[DialogueAct]:
        slots = [s for s in (*INFORMABLE[domain], *BOOKABLE.get(domain, ())) if s != "name"]
        asked = [DialogueAct(intent=f"{domain}_request", slots={"slot": slot}) for slot in slots]
        wrong = ["no_offer", "select"] if domain != "taxi" else []
        wrong += ["offer_book"] if domain in BOOKABLE else []
        manners = [DialogueAct(intent=intent) for intent in ("reqmore", "welcome", "goodbye")]
        return [*asked, *(DialogueAct(intent=f"{domain}_{kind}") for kind in wrong), *manners]


class NearOracleDesk(MultiWOZOracle):
    """The oracle, but now and then it does not remember what the user is after."""

    name = "near-oracle"

    def acts(self, observation: Observation) -> list[DialogueAct]:
        """A turn of the oracle, or of somebody who knows only what was said."""
        self.learn(observation)
        if self.rng.random() >= SLIP:
            return super().acts(observation)
        known = self.goal, self.requests
        self.goal, self.requests = no_goal()
        try:
            return super().acts(observation)
        finally:
            self.goal, self.requests = known
