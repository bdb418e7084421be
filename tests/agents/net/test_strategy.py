import numpy as np
import pytest
import torch

from dialog_gym.agents.net.agent import NetAgent
from dialog_gym.agents.net.policy import NetConfig, NetPolicy
from dialog_gym.agents.net.strategy import StrategyNetwork
from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.domains.credit.moves import MOVE, MOVES
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.envs.multiagent import aec_env
from dialog_gym.envs.multiagent_seats import STRATEGY
from dialog_gym.rollout import play
from tests.agents.net.conftest import some_episodes

COUNT = len(MOVES)
SHOP = CreditDomain()
NAMES, CARRIED = SHOP.strategies, torch.from_numpy(SHOP.act_level.carried)


@pytest.fixture
def planner(domain, policy):
    """A policy with the weights of one that plans nothing, all of them far from 0."""
    found = NetPolicy(domain, NetConfig(hidden=32, strategies=True), seed=5)
    found.module.load_state_dict(policy.module.state_dict())
    return found


@pytest.fixture
def rollout(planner, episodes):
    return planner.collect(episodes, torch.Generator().manual_seed(3))


def rouse(policy, seed=0):
    """The same policy with a strategy head that matters."""
    torch.manual_seed(seed)
    for name in ("plan.weight", "told.weight"):
        policy.module.get_parameter(name).data.normal_(0.0, 1.0)
    return policy


def seen(rollout):
    taken = rollout.inputs["taken"]
    return rollout.inputs["observation"][taken], rollout.inputs["allowed"][taken]


def test_every_intent_of_a_strategy_carries_it_out():
    carried = CARRIED
    assert carried.shape == (len(NAMES), COUNT)
    assert carried[NAMES.index("discover_need")].nonzero().squeeze(1).tolist() == [
        i for i, move in enumerate(MOVES) if move.intent == "ask_need"
    ]
    assert not carried[:, MOVE["none"]].any()


def test_at_the_start_first_moves_are_as_likely_as_without_strategies(planner, policy, rollout):
    """Summed over the strategies that a first move may carry out, but for moves that carry out none."""
    observation, allowed = seen(rollout)
    moves, plans = allowed.split((COUNT, len(NAMES)), 1)
    network, base = planner.module, policy.module
    some = torch.full((len(moves), 7), 0)
    total = torch.zeros(moves.shape)
    for plan in range(len(NAMES)):
        for move in range(COUNT):
            some[:, 0], some[:, 1] = plan, move
            found = network.decide(observation, allowed, some, None).logprob
            total[:, move] += torch.where(plans[:, plan], (found[:, 0] + found[:, 1]).exp(), 0.0)
    alone = torch.stack(
        [base.decide(observation, moves, some[:, 1:].index_fill(1, torch.tensor([0]), m), None).logprob[:, 0]
         for m in range(COUNT)], 1,
    ).exp()  # fmt: skip
    carried = (plans.float() @ CARRIED.float() > 0) & moves
    wanted = alone * carried
    torch.testing.assert_close(total, wanted / wanted.sum(1, keepdim=True), atol=1e-5, rtol=1e-4)


def test_hard_rules_hold_and_the_first_move_carries_the_strategy_out(planner, episodes):
    found = rouse(planner).collect(episodes, torch.Generator().manual_seed(3))
    _, allowed = seen(found)
    action = found.inputs["action"][found.inputs["taken"]]
    moves, plans = allowed.split((COUNT, len(NAMES)), 1)
    rows = torch.arange(len(action))
    assert plans[rows, action[:, 0]].all()
    assert moves[rows, action[:, 1]].all()
    assert CARRIED[action[:, 0], action[:, 1]].all()
    assert len(action[:, 0].unique()) > 5


def test_the_strategy_tells_the_later_decisions(planner, rollout):
    observation, allowed = seen(rollout)
    action = rollout.inputs["action"][rollout.inputs["taken"]]
    before = planner.module.decide(observation, allowed, action, None).logprob
    rouse(planner).module.plan.weight.data.zero_()
    after = planner.module.decide(observation, allowed, action, None).logprob
    assert after[:, 0].equal(before[:, 0])
    assert not after[:, 2].allclose(before[:, 2])


def test_one_strategy_for_everything_is_the_network_without_strategies(planner, policy, rollout):
    base, every = policy.module, np.ones((1, COUNT), bool)
    one = StrategyNetwork(base.inputs, base.sizes, base.uses.numpy(), hidden=32, carried=every)
    one.load_state_dict(base.state_dict())
    observation, allowed = seen(rollout)
    moves, uniforms = allowed[:, :COUNT], torch.rand(len(allowed), 7)
    found = one.decide(observation, torch.cat([moves, moves[:, :1] | True], 1), None, uniforms)
    wanted = base.decide(observation, moves, None, uniforms[:, 1:])
    assert not found.made[:, 0].any()
    assert not found.logprob[:, 0].any()
    for mine, other in zip(found, wanted, strict=True):
        assert mine[:, 1:].equal(other)


def test_evaluation_repeats_what_was_sampled(planner, rollout):
    found = planner.evaluate(rollout)
    torch.testing.assert_close(found.logprob.detach(), rollout.logprob, atol=1e-5, rtol=1e-5)
    assert rollout.mask.shape[2] == 7
    assert rollout.inputs["strategic"].equal(rollout.mask & (torch.arange(7) == 0))


def test_esndcg_is_that_of_the_same_dialogue_in_acts(planner, domain):
    episodes = some_episodes(30)
    found = rouse(planner).collect(episodes, torch.Generator().manual_seed(3))
    env = DialogueEnv(domain)
    games = env.begin_many(episodes.tasks.tolist(), [int(seed) for seed in episodes.seeds])
    for row, game in enumerate(games):
        for turn in range(int(found.turns[row].sum())):
            game.dialogue.step_action(found.inputs["action"][row, turn, 1:].tolist())
        assert float(found.outcome["esndcg"][row]) == pytest.approx(
            game.dialogue.outcome()["esndcg"], abs=1e-6
        )


def test_demonstrations_name_the_best_strategy_that_they_carry_out(planner):
    shown = planner.demonstrations(20, 1)
    turns = shown.mask.any(-1)
    action = shown.inputs["action"][turns]
    assert CARRIED[action[:, 0], action[:, 1]].all()
    assert {NAMES[plan] for plan in action[:, 0].tolist()} >= {"build_rapport", "discover_need", "qualify"}


def test_a_domain_without_strategies_says_so():
    class Elsewhere(CreditDomain):
        name = "elsewhere"

    elsewhere = Elsewhere()
    elsewhere.strategies = ()
    with pytest.raises(DialogGymError, match="--strategies: domain elsewhere has no strategies"):
        NetPolicy(elsewhere, NetConfig(hidden=32, strategies=True))


# -- as an agent


def agent_of(policy):
    return NetAgent(rouse(policy).module, "planner")


def plans_of(turns):
    return [turn.thought.splitlines()[0].removeprefix(STRATEGY) for turn in turns if turn.role == "assistant"]


def test_an_agent_thinks_its_strategy_and_plays_as_in_the_arrays(planner, domain):
    agent, episodes = agent_of(planner), some_episodes(12)
    found = planner.collect(episodes, None)
    games = DialogueEnv(domain).begin_many(episodes.tasks.tolist(), [int(seed) for seed in episodes.seeds])
    for row, game in enumerate(games):
        trajectory = play(game, agent)
        wanted = found.inputs["action"][row, : int(found.turns[row].sum()), 0].tolist()
        assert plans_of(trajectory.turns) == [NAMES[plan] for plan in wanted]


def test_an_agent_follows_the_strategy_that_it_is_told(planner):
    env = aec_env(hierarchical=True, players={"assistant_0": agent_of(planner), "user_0": "agenda"})
    chosen = np.random.default_rng(0)
    for seed in range(4):
        env.reset(seed=seed)
        for seat in env.agent_iter():
            observation, _, over, cut, _ = env.last()
            mask = np.flatnonzero(observation["action_mask"])
            env.step(None if over or cut else int(chosen.choice(mask)))
            assert seat == "expert_0"
        for turn in env.unwrapped.trajectory().turns:
            if turn.role == "assistant":
                told, thought = turn.thought.splitlines()
                assert told == thought


def test_it_plays_both_seats_of_the_hierarchical_environment(planner, domain):
    """As the same agent plays alone: the expert's seat chooses what the assistant's would."""
    agent = agent_of(planner)
    seated = {"expert_0": agent, "assistant_0": agent}
    env = aec_env(hierarchical=True, players=seated)
    for seed in range(4):
        env.reset(seed=seed)
        while env.agents:
            _, _, over, cut, _ = env.last()
            env.step(None if over or cut else "Yes, that is me.")
        turns = [turn for turn in env.unwrapped.trajectory().turns if turn.role == "assistant"]
        for turn in turns:
            told, thought = turn.thought.splitlines()
            assert told == thought
            assert turn.acts


def test_episodes_differ_in_group_only_where_strategies_do(planner):
    """The greedy policy plays the dialogues of one task and customer alike."""
    episodes = some_episodes(6)
    twice = replace_rows(episodes)
    found = planner.collect(twice, None)
    assert found.inputs["action"][:6].equal(found.inputs["action"][6:])


def replace_rows(episodes):
    doubled = {
        name: np.concatenate([values, values])
        for name, values in episodes._asdict().items()
        if name != "scenario"
    }
    return episodes._replace(**doubled)
