"""The shipped user model: small, documented, what the name ``lm`` means, and true to its acts."""

import json

import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.lm.shipped import shipped_model
from dialog_gym.rollout import play_many
from dialog_gym.simulators.real_dialogues import SOURCES
from dialog_gym.simulators.trained import CARD, card_of, shipped_user
from dialog_gym.simulators.worded import WordedSimulator

SHIPPED = shipped_user()
pytestmark = pytest.mark.skipif(not (SHIPPED / CARD).is_file(), reason="no user model is shipped yet")


def test_the_shipped_user_is_small_and_says_where_it_comes_from():
    sizes = [path.stat().st_size for folder in (SHIPPED, shipped_model()) for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 5_000_000
    assert sum(sizes) <= 16_000_000
    card, page = card_of(SHIPPED), (SHIPPED / "MODEL_CARD.md").read_text("utf-8")
    assert card["style"] == "compact" and card["marks"] is True
    for source, told in SOURCES.items():
        assert source in page and told.licence in page
    assert "dialog-gym train simulator" in page and "/work" not in page + json.dumps(card)


def test_the_name_lm_is_the_shipped_user():
    users = WordedSimulator()
    assert users.name == "lm" and users.style == "compact"
    assert users.generator.model == str(SHIPPED)


@pytest.fixture(scope="module")
def spoken():
    for needed in ("torch", "transformers"):
        pytest.importorskip(needed, reason="an optional dependency is missing")
    users = WordedSimulator()
    env = DialogueEnv(scenario="proactive_sale", simulator=users, split="test", difficulty={"typos": 0.0})
    return play_many(env.begin_many(range(12), range(12), greet=False), load_agent("scripted"))


def test_the_shipped_user_says_what_it_means_in_its_own_words(spoken):
    counts = {
        name: sum(one.outcome[f"simulator_{name}"] for one in spoken) for name in ("audited", "fallbacks")
    }
    assert counts["audited"] > 40
    assert counts["fallbacks"] <= 0.1 * counts["audited"]
    assert not any("[" in turn.text for one in spoken for turn in one.turns if turn.role == "user")
