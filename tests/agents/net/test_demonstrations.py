import pytest

from dialog_gym.agents.learning import demonstrators
from dialog_gym.agents.net import demonstrations
from dialog_gym.agents.net.demonstrations import demonstrate_actions


@pytest.mark.parametrize("scenario", ["proactive_sale", "customer_service"])
def test_demonstrations_are_the_calls_that_were_played(monkeypatch, policy, scenario):
    played = []

    def noted(count, **options):
        for episode, task, agent in demonstrators.demonstrated_episodes(count, **options):
            played.append((episode, task))
            yield episode, task, agent

    monkeypatch.setattr(demonstrations, "demonstrated_episodes", noted)
    rollout = policy.demonstrations(40, 3, scenario)
    assert len(played) == len(rollout) == 40
    for row, (episode, _) in enumerate(played):
        outcome = episode.dialogue.outcome()
        for name in ("converted", "mis_sold", "reached", "resolved", "refused", "violation_count", "turns"):
            assert outcome[name] == rollout.outcome[name][row].item(), name
        assert bool(rollout.outcome["truncated"][row]) == (episode.ended_by == "max_turns")
        for turn, (rewards, costs) in enumerate(zip(episode.rewards, episode.costs, strict=True)):
            found = {name: values[row, turn].item() for name, values in rollout.rewards.items()}
            assert found == pytest.approx(dict(rewards))
            assert rollout.cost[row, turn].item() == len(costs)
        assert int(rollout.inputs["taken"][row].sum()) == len(episode.rewards)


def test_demonstrations_depend_on_their_seed_alone(domain):
    place = {"scenario": "proactive_sale", "split": "train", "level": 3}
    first, again, other = (demonstrate_actions(10, domain, seed=seed, **place) for seed in (1, 1, 2))
    for name in first._fields:
        assert (getattr(first, name) == getattr(again, name)).all()
    assert (first.tasks != other.tasks).any()
    ends = (first.actions[:, :, 0] >= 0).sum(1)
    assert all(
        (row[:end] >= 0).all() and (row[end:] == -1).all()
        for row, end in zip(first.actions, ends, strict=True)
    )
