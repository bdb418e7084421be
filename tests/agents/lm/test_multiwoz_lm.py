"""The language-model backbone at the booking desk: what the systems say stands in the dialogue as notes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="an optional dependency is missing")
pytest.importorskip("transformers", reason="an optional dependency is missing")

from dialog_gym.agents.learning import runs  # noqa: E402
from dialog_gym.agents.learning.backbones import LM  # noqa: E402
from dialog_gym.agents.learning.card import read_card  # noqa: E402
from dialog_gym.agents.learning.demonstrators import demonstrated_episodes  # noqa: E402
from dialog_gym.agents.learning.grpo import GRPO, GRPOConfig  # noqa: E402
from dialog_gym.agents.learning.rollout import Episodes  # noqa: E402
from dialog_gym.agents.learning.run_options import RunOptions  # noqa: E402
from dialog_gym.agents.learning.sft import SFT, SFTConfig  # noqa: E402
from dialog_gym.agents.lm.agent import LMAgent  # noqa: E402
from dialog_gym.agents.lm.policy import LMConfig, LMPolicy  # noqa: E402
from dialog_gym.agents.multiwoz_scripted import MultiWOZScripted  # noqa: E402
from dialog_gym.core import DialogGymError  # noqa: E402
from dialog_gym.domains.credit.domain import CreditDomain  # noqa: E402
from dialog_gym.domains.multiwoz.domain import MultiWOZDomain  # noqa: E402
from dialog_gym.envs.dialogue_env import DialogueEnv  # noqa: E402
from dialog_gym.rollout import play, play_many  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
DESK = MultiWOZDomain(max_turns=3)


@pytest.fixture
def options(model_folder):
    return {"model": str(model_folder("llama")), "precision": "fp32", "max_new_tokens": 8, "context": 640}


@pytest.fixture
def policy(options):
    return LMPolicy(DESK, LMConfig(**options))


def episodes(count=4, group=1):
    every = np.repeat(np.arange(count), group)
    return Episodes("booking", every * 7, (every + 90).astype(np.uint64), every)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# -- what the model reads


def twin_of(task):
    """The same person with another goal: no requests, no bookings but for taxis, not the last domain."""
    domains = task.goal.need.split(",")
    kept = domains[:-1] or domains
    constraints = {
        name: value
        for name, value in task.goal.constraints.items()
        if name.partition(".")[0] in kept and "book." not in name
    }
    changed = {"need": ",".join(kept), "constraints": constraints, "requests": ()}
    return task.model_copy(update={"goal": task.goal.model_copy(update=changed)})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(index=st.integers(0, 999), seed=st.integers(0, 99))
def test_two_goals_with_the_same_words_have_the_same_notes(policy, index, seed):
    """As long as two users who want different things have said the same, the model reads the same."""
    task = DESK.task(index, split="test")
    twin = twin_of(task)
    assume(twin.goal != task.goal)
    env = DialogueEnv(DESK, split="test")
    pair, shared = [env.begin(one, seed) for one in (task, twin)], 0
    agents = [MultiWOZScripted().start(0) for _ in pair]
    while pair[0].turns == pair[1].turns and not any(one.ended_by for one in pair):
        seen = [one.observation for one in pair]
        assert seen[0].profile == seen[1].profile
        assert policy.transcript(seen[0]).ids == policy.transcript(seen[1]).ids
        shared += 1
        for one, agent in zip(pair, agents, strict=True):
            one.assistant(one.understand(agent.reply(one.observation).text))
    assume(shared)


def test_only_the_assistant_decides(policy):
    """Notes are context, as what the user says is: decided are the assistant's words, and nothing else."""
    shown = policy.demonstrations(12, 3, "booking")
    texts = []
    for episode, _, agent in demonstrated_episodes(
        12, seed=3, scenario="booking", domain=DESK, split="train", level=3
    ):
        play(episode, agent)
        texts.append([turn.text for turn in episode.turns if turn.role == "assistant"])
    noted = 0
    for row, said in enumerate(texts):
        ids, starts = shown.inputs["ids"][row], shown.inputs["starts"][row]
        whole = policy.tokenizer.decode(ids[: int(shown.inputs["lengths"][row])])
        noted += whole.count(" [")
        for turn in range(int(shown.turns[row].sum())):
            start, made = int(starts[turn]), int(shown.mask[row, turn].sum())
            decided = policy.tokenizer.decode(ids[start : start + made], skip_special_tokens=True)
            assert "[" not in decided and said[turn].startswith(decided.strip())
    assert noted > 20
    assert policy.system(episode.observation) == "The customer wrote. Reply in words."


# -- playing


def test_a_rollout_is_what_the_folder_plays(policy, options, tmp_path):
    """Token in, token out: what was trained on is what is evaluated."""
    wanted = episodes(5)
    rollout = policy.collect(wanted, None)
    assert torch.allclose(policy.evaluate(rollout).logprob, rollout.logprob, atol=1e-4)
    policy.save(tmp_path)
    given_options = {name: value for name, value in options.items() if name != "model"}
    agent = LMAgent(LMPolicy.load(tmp_path, DESK, LMConfig(**given_options)))
    games = DialogueEnv(DESK, split="train").begin_many(wanted.tasks.tolist(), wanted.seeds.tolist())
    tables = []
    start_many = agent.start_many
    agent.start_many = lambda seeds: tables.append(start_many(seeds)) or tables[-1]
    play_many(games, agent)
    (table,) = tables
    for row, transcript in enumerate(table.seats.transcripts):
        length = int(rollout.inputs["lengths"][row])
        assert transcript.ids == rollout.inputs["ids"][row, :length].tolist()
        assert [spoken.start for spoken in transcript.spoken] == [
            int(start) for start in rollout.inputs["starts"][row][rollout.turns[row]]
        ]
    assert "[" in policy.tokenizer.decode(table.seats.transcripts[0].ids)


def test_a_dialogue_is_read_once(policy, monkeypatch):
    agent, began = LMAgent(policy, temperature=1.0), []
    episode = DialogueEnv(DESK).begin_many([3], [5])[0]
    read = policy.transcript
    monkeypatch.setattr(policy, "transcript", lambda seen: began.append(1) or read(seen))
    session = agent.start(0)
    while episode.ended_by is None:
        episode.assistant(episode.understand(session.reply(episode.observation).text))
    assert len(began) == 1 and len(episode.rewards) > 1


def test_playing_depends_on_the_generator_alone(policy):
    first, again, other = (policy.collect(episodes(), seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.inputs["ids"], again.inputs["ids"])
    assert not torch.equal(first.inputs["ids"], other.inputs["ids"])


def test_grpo_learns_from_it(policy):
    rollout = policy.collect(episodes(3, 4), seeded())
    assert set(rollout.rewards) == set(DESK.act_level.reward_weights)
    some = torch.rand(rollout.turns.shape, generator=seeded(3)) * rollout.turns
    rollout = replace(rollout, rewards={**rollout.rewards, "progress": some})
    before = [p.detach().clone() for p in policy.module.model.parameters()]
    logs = GRPO(policy, GRPOConfig(learning_rate=1e-3, group=4, levels="turn")).update(rollout, seeded())
    assert all(np.isfinite(value) for value in logs.values())
    now = policy.module.model.parameters()
    assert any(not torch.equal(a, b) for a, b in zip(before, now, strict=True))


def test_sft_and_grpo_make_folders_that_play(options, tmp_path):
    class Quiet:
        stop = staticmethod(lambda: False)
        progress = staticmethod(lambda progress: None)
        note = staticmethod(lambda text: None)

    common = {"backbone": "lm", "domain": "multiwoz", "validate_every": 0, "model": options}
    first = RunOptions(
        "sft", tmp_path / "sft", config={"demonstrations": 6, "passes": 1, "minibatch": 3}, **common
    )
    assert runs.run(first, Quiet()).finished
    then = RunOptions(
        "grpo",
        tmp_path / "grpo",
        init=tmp_path / "sft",
        steps=8,
        config={"dialogues": 4, "group": 2},
        **common,
    )
    assert runs.run(then, Quiet()).finished
    card = read_card(tmp_path / "grpo")
    agent = LMAgent.load(tmp_path / "grpo", card)
    (found,) = play_many(DialogueEnv("multiwoz").begin_many([1], [2]), agent)
    assert card.domain == "multiwoz" and found.ended_by != "error"


# -- which prompts do


def test_a_prompt_without_the_databases_is_refused():
    LM.check_domain(DESK, {"prompt": "desk"})
    LM.check_domain(DESK, {})
    LM.check_domain(CreditDomain(), {"prompt": "compact"})
    with pytest.raises(DialogGymError, match="--prompt compact does not show what domain multiwoz looks up"):
        LM.check_domain(DESK, {"prompt": "compact"})


def test_the_full_prompt_has_profile_guidelines_and_notes(options):
    playing = LMPolicy(DESK, LMConfig(**{**options, "prompt": "full", "context": 640}))
    seen = DialogueEnv(DESK).begin_many([3], [5])[0].observation
    said = playing.tokenizer.decode(playing.transcript(seen).ids)
    assert (
        "taxi_phone" in said and seen.guidelines[:40] in said and "[" in said.split(seen.dialogue[0].text)[1]
    )


def test_the_shop_has_no_notes(model_folder):
    playing = LMPolicy(CreditDomain(max_turns=2), LMConfig(model=str(model_folder("llama"))))
    seen = DialogueEnv(scenario="customer_service").begin_many([3], [5])[0].observation
    assert not playing.notes and playing.transcript(seen).desk is None


# -- people's dialogues


def test_people_teach_what_the_assistant_said(options, monkeypatch):
    try:
        there = DESK.human_dialogues()[:5]
    except DialogGymError as error:
        pytest.skip(f"the corpus is not there: {error}")
    monkeypatch.setattr(DESK, "human_dialogues", lambda: there, raising=False)
    playing = LMPolicy(DESK, LMConfig(**options, corpus=True))
    with pytest.raises(DialogGymError, match="the corpus has 5 dialogues to learn from: --demonstrations 5"):
        playing.demonstrations(6, 0)
    shown = playing.demonstrations(5, 0)
    assert all(values[shown.turns].isnan().all() for values in shown.rewards.values())
    assert int(shown.inputs["lengths"].max()) <= 640 and int(shown.turns.sum(1).max()) <= DESK.max_turns
    said = {turn.text[:20] for one in there for turn in one.observation.dialogue if turn.role == "assistant"}
    for row, turn in shown.turns.nonzero().tolist():
        start = int(shown.inputs["starts"][row, turn])
        made = shown.inputs["ids"][row, start : start + int(shown.mask[row, turn].sum())]
        decided = playing.tokenizer.decode(made, skip_special_tokens=True)
        assert any(text.startswith(decided[:20]) or decided.startswith(text) for text in said)
    learner = SFT(playing, SFTConfig(minibatch=5, learning_rate=1e-2))
    before = learner.update(shown, seeded())["loss"]
    assert learner.update(shown, seeded())["loss"] < before


def test_the_shop_has_no_dialogues_of_people():
    with pytest.raises(DialogGymError, match="--corpus: domain credit has no human dialogues"):
        LM.check_domain(CreditDomain(), {"corpus": True})
