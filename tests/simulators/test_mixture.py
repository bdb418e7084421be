"""Populations of users."""

import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.core import DialogGymError, UserSimulator
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.rollout import play, play_many
from dialog_gym.simulators.agenda import AgendaSimulator
from dialog_gym.simulators.mixture import STYLES, MixtureSimulator
from dialog_gym.speaking import load_simulator

TASK = DialogueEnv().domain.task(0)


def test_users_are_drawn_by_their_weights():
    users = MixtureSimulator({"agenda": 1, "agenda?verbosity=terse": 3})
    assert isinstance(users, UserSimulator)
    drawn = [users.parts.index(users.start(TASK, seed).part) for seed in range(1000)]
    assert 0.7 < sum(drawn) / 1000 < 0.8
    assert drawn == [users.parts.index(users.start(TASK, seed).part) for seed in range(1000)]


def test_the_default_population_covers_the_styles():
    users = MixtureSimulator()
    assert dict(users.shares) == pytest.approx(dict(STYLES))
    assert len({id(users.start(TASK, seed).part) for seed in range(200)}) == len(STYLES)


def test_alone_and_together_are_the_same_and_counted():
    envs = [DialogueEnv(simulator=MixtureSimulator("agenda=1,agenda?typos=0=2"), split="test") for _ in "ab"]
    alone = [play(envs[0].begin(i, 5), load_agent("scripted")) for i in range(20)]
    together = play_many(envs[1].begin_many(range(20), [5] * 20, greet=False), load_agent("scripted"))
    assert alone == together
    assert sum(one.outcome["simulator_audited"] for one in alone) > 0


def test_by_name_and_by_file(tmp_path):
    assert load_simulator("mixture:agenda=1,agenda=3").shares == [("agenda", 0.25), ("agenda", 0.75)]
    file = tmp_path / "users.toml"
    file.write_text('[users]\nagenda = 1\n"agenda?verbosity=chatty" = 1\n', encoding="utf-8")
    users = MixtureSimulator(str(file))
    assert [part.overrides for part in users.parts] == [{}, {"verbosity": "chatty"}]
    assert users.settings()["shares"] == [["agenda", 0.5], ["agenda?verbosity=chatty", 0.5]]


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({}, None),
        ("agenda=0", "above 0"),
        ("agenda=much", "above 0"),
        ({"agenda": float("nan")}, "above 0"),
        ("agnda=1", "did you mean"),
        ("nothing.toml", "no mixture"),
    ],
)
def test_wrong_mixtures(parts, line):
    if line is None:
        assert len(MixtureSimulator(parts).parts) == len(STYLES)
        return
    with pytest.raises(DialogGymError, match=line):
        MixtureSimulator(parts)


def test_objects_may_be_parts():
    part = AgendaSimulator()
    assert MixtureSimulator({part: 1.0}).parts == [part]
