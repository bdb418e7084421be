"""A language model as an agent: alone and in a batch the same, and never confused about the dialogue."""

import pytest

torch = pytest.importorskip("torch", reason="an optional dependency is missing")
pytest.importorskip("transformers", reason="an optional dependency is missing")

from dialog_gym.agents.learning.card import AgentCard  # noqa: E402
from dialog_gym.agents.lm.agent import LMAgent  # noqa: E402
from dialog_gym.agents.lm.policy import LMConfig, LMPolicy  # noqa: E402
from dialog_gym.core import DialogGymError, Observation, Turn  # noqa: E402
from dialog_gym.domains.credit.domain import CreditDomain  # noqa: E402
from dialog_gym.envs.dialogue_env import DialogueEnv  # noqa: E402
from dialog_gym.rollout import play, play_many  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
DOMAIN = CreditDomain(max_turns=4)


@pytest.fixture
def policy(model_folder):
    def make(**options):
        chosen = {"model": str(model_folder("llama")), "precision": "fp32", "max_new_tokens": 8}
        return LMPolicy(DOMAIN, LMConfig(**{**chosen, **options}))

    return make


def fresh(count=4, scenario="customer_service"):
    env = DialogueEnv(DOMAIN, scenario=scenario)
    return env.begin_many(list(range(count)), list(range(50, 50 + count)))


def words(trajectories):
    return [[turn.text for turn in one.turns] for one in trajectories]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("scenario", ["proactive_sale", "customer_service"])
def test_alone_and_together_it_says_the_same(policy, temperature, scenario):
    agent = LMAgent(policy(), temperature=temperature)
    alone = [play(episode, agent) for episode in fresh(scenario=scenario)]
    together = play_many(fresh(scenario=scenario), agent)
    assert words(alone) == words(together)
    assert alone[0].agent == "lm"


def test_temperature_0_ignores_the_seed(policy):
    likeliest, sampled = LMAgent(policy()), LMAgent(policy(), temperature=1.0)
    observation = fresh(1)[0].observation
    assert likeliest.start(1).reply(observation) == likeliest.start(2).reply(observation)
    assert sampled.start(1).reply(observation) == sampled.start(1).reply(observation)
    assert sampled.start(1).reply(observation) != sampled.start(2).reply(observation)


def test_a_dialogue_is_read_once(policy, monkeypatch):
    agent, episode = LMAgent(policy(), temperature=1.0), fresh(1)[0]
    session = agent.start(0)
    began = []
    monkeypatch.setattr(
        agent.policy, "transcript", lambda seen, read=agent.policy.transcript: began.append(1) or read(seen)
    )
    for turn in range(4):
        if episode.ended_by is None:
            episode.assistant(episode.understand(session.reply(episode.observation).text))
            assert len(began) == 1, turn
    assert len(episode.rewards) > 1


def seen(*said, profile=None):
    roles = ("user", "assistant")
    turns = tuple(Turn(role=roles[i % 2], text=text) for i, text in enumerate(said))
    return Observation(turns, profile or {}, "")


def test_a_dialogue_that_is_not_its_own_is_read_from_the_beginning(policy):
    agent = LMAgent(policy())
    session = agent.start(0)
    first = session.reply(seen("Hello?")).text
    changed = [
        seen("Hello?", f"{first} No, I never said that.", "Really?"),
        seen("Good evening.", first, "Really?"),
        seen("What is my limit?"),
        seen("Hello?", first, "Really?", "Yes.", "Good."),
    ]
    for observation in changed:
        again = agent.start(0).reply(observation)
        assert session.reply(observation) == again
    session = agent.start(0)
    session.reply(seen("Hello?"))
    known = session.reply(seen("Hello?", first, "Really?"))
    assert known.role == "assistant"
    ids = session._table.seats.transcripts[0].ids
    assert agent.policy.tokenizer.decode(ids).count("Really?") == 1


def test_dialogues_of_a_batch_may_be_away_for_a_while(policy):
    agent = LMAgent(policy())
    table = agent.start_many([1, 2, 3])
    observations = [seen("Hello?"), seen("Good evening."), seen("What is my limit?")]
    first = table.reply_many([0, 1, 2], observations)
    (second,) = table.reply_many([1], [seen("Good evening.", first[1].text, "Yes?")])
    later = seen("Hello?", first[0].text, "Yes?")
    found = table.reply_many(
        [0, 1], [later, seen("Good evening.", first[1].text, "Yes?", second.text, "So?")]
    )
    assert found[0] == agent.start(9).reply(later)
    assert len(found) == 2


def test_acts_are_put_into_words_by_the_shop_and_known_again(policy, monkeypatch):
    agent, episode = LMAgent(policy(dialect="acts")), fresh(1)[0]
    monkeypatch.setattr(agent.policy.chat, "text", lambda ids: "ask_identity( )")
    session = agent.start(0)
    episode.assistant(episode.understand(session.reply(episode.observation).text))
    assert episode.turns[1].acts[0].intent == "ask_identity"
    assert episode.turns[1].text != "ask_identity( )"
    before = list(session._table.seats.transcripts[0].ids)
    session.reply(episode.observation)
    assert session._table.seats.transcripts[0].ids[: len(before)] == before


def test_a_full_context_ends_with_a_goodbye(policy):
    prompt = len(policy().transcript(fresh(1)[0].observation).ids)
    agent = LMAgent(policy(context=prompt + 8))
    trajectory = play(fresh(1)[0], agent)
    assert trajectory.ended_by == "agent_ended"
    assert len(trajectory.rewards) == 2
    session = agent.start(0)
    session.reply(fresh(1)[0].observation)
    other = fresh(1)[0].observation
    longer = (*other.dialogue, *seen("", "Something else.", "What?").dialogue[1:])
    assert session.reply(other._replace(dialogue=longer)).text == "done()"


def test_it_is_loaded_by_its_card(policy, tmp_path):
    playing = policy()
    playing.save(tmp_path)
    options = {"max_new_tokens": 8, "precision": "fp32"}
    card = AgentCard(
        name="mine", algorithm="sft", backbone="lm", domain="credit", seed=0, env_steps=7, demonstrations=1,
        config={}, model=options, versions={},
    )  # fmt: skip
    agent = LMAgent.load(tmp_path, card)
    assert (agent.name, agent.temperature, agent.env_steps, agent.backbone) == ("mine", 0.0, 7, "lm")
    observation = fresh(1)[0].observation
    assert agent.start(0).reply(observation) == LMAgent(playing).start(0).reply(observation)
    with pytest.raises(DialogGymError, match=r"the card's model has an unknown option: .*'size'"):
        LMAgent.load(tmp_path, card.model_copy(update={"model": {"size": 3}}))
