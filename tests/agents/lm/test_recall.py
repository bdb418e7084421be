"""A language model that remembers: calls as cases, read into the prompt once per call."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="an optional dependency is missing")
pytest.importorskip("transformers", reason="an optional dependency is missing")

from dialog_gym.agents.learning.card import AgentCard  # noqa: E402
from dialog_gym.agents.learning.memory import Reading  # noqa: E402
from dialog_gym.agents.learning.rollout import Episodes  # noqa: E402
from dialog_gym.agents.lm.agent import LMAgent  # noqa: E402
from dialog_gym.agents.lm.policy import LMConfig, LMPolicy  # noqa: E402
from dialog_gym.agents.lm.prompts import case_blocks  # noqa: E402
from dialog_gym.agents.lm.recall import SHARE, sentence_encoder  # noqa: E402
from dialog_gym.core import DialogGymError  # noqa: E402
from dialog_gym.domains.credit.domain import CreditDomain  # noqa: E402
from dialog_gym.envs.dialogue_env import DialogueEnv  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
DOMAIN = CreditDomain(max_turns=4)


@pytest.fixture
def policy(model_folder):
    def make(**options):
        chosen = {"model": str(model_folder("llama")), "precision": "fp32", "max_new_tokens": 8}
        return LMPolicy(DOMAIN, LMConfig(**{**chosen, "prompt": "compact", **options}))

    return make


def episodes(count=4):
    return Episodes("customer_service", np.arange(count), np.arange(count, dtype=np.uint64), np.arange(count))


def generator():
    return torch.Generator().manual_seed(0)


def observations(count=3):
    env = DialogueEnv(DOMAIN, scenario="customer_service")
    return [episode.observation for episode in env.begin_many(list(range(count)), list(range(count)))]


def with_plans(rollout, *plans):
    """The rollout as if the shop had understood these acts."""
    found = torch.full((len(rollout), rollout.mask.shape[1]), -1)
    for row, plan in enumerate(plans):
        found[row, : len(plan)] = torch.tensor([list(DOMAIN.assistant_acts).index(act) for act in plan])
    rollout.inputs["plan"] = found
    return rollout


def filled(policy, **reading):
    """A policy with four calls in its memory, of which the first and the third went well."""
    memory = policy.remember(Reading(**{"neighbours": 4, **reading}))
    rollout = with_plans(
        policy.collect(episodes(), generator()),
        ["greet", "offer"],
        ["urge"],
        ["greet", "ask_need"],
        ["goodbye"],
    )
    memory.write(policy.cases(rollout, torch.tensor([True, False, True, False])))
    return memory


def test_two_blocks():
    assert case_blocks(["greet, offer", "greet"], ["urge"]) == (
        "Calls like this went well so: greet, offer; greet. Calls like this went badly so: urge."
    )
    assert case_blocks([], ["urge"]) == "Calls like this went badly so: urge."


def test_a_call_is_a_case(policy):
    one = policy()
    cases = filled(one).cases
    assert cases.texts == ("greet, offer", "urge", "greet, ask need", "goodbye")
    assert cases.actions.norm(dim=1).allclose(torch.ones(4))
    assert (cases.actions[0] @ cases.actions[2]).item() == pytest.approx(0.5)
    assert cases.states.shape == (4, 32)


def test_calls_in_which_nothing_was_understood_are_no_cases(policy):
    one = policy()
    one.remember(Reading())
    rollout = with_plans(one.collect(episodes(), generator()), ["greet"], [], ["offer"], [])
    assert len(one.cases(rollout, torch.ones(4, dtype=torch.bool))) == 2


def test_a_call_finds_itself_again(policy):
    one = policy()
    memory = filled(one, neighbours=1)
    for row, observation in enumerate(observations()):
        vector = one.reader._vector(one.system(observation), observation.dialogue)
        assert memory.recall(vector[None]).cases.tolist() == [[row]]


def test_cases_stand_in_the_prompt_and_leave_room(policy):
    plain, one = policy(), policy()
    filled(one)
    observation = observations(1)[0]
    told = one.tokenizer.decode(one.transcript(observation).ids)
    assert "went well so: " in told and "greet, offer" in told
    assert "went badly so: " in told and "urge" in told
    more = len(one.transcript(observation).ids) - len(plain.transcript(observation).ids)
    assert 0 < more <= one.shape.context // SHARE + 1


def test_the_farthest_cases_give_way(policy):
    one = policy()
    filled(one)
    one.reader.room = len(one.tokenizer.encode(case_blocks(["greet, offer"], []))) + 2
    system = one.reader.shown("S", observations(1)[0].dialogue)
    assert system.count(";") == 0 and system.count("went") == 1
    one.reader.room = 0
    assert one.reader.shown("S", ()) == "S"


def test_an_empty_memory_changes_nothing(policy):
    plain, one = policy(), policy()
    one.remember(Reading())
    found, wanted = one.collect(episodes(), generator()), plain.collect(episodes(), generator())
    assert found.logprob.equal(wanted.logprob) and found.inputs["ids"].equal(wanted.inputs["ids"])


def test_the_agent_of_a_folder_remembers(policy, tmp_path):
    one = policy()
    filled(one)
    one.save(tmp_path)
    model = {"prompt": "compact", "precision": "fp32", "max_new_tokens": 8}
    card = AgentCard(
        name="m", algorithm="memento", backbone="lm", domain="credit", seed=0, env_steps=9, demonstrations=0,
        config={}, model=model, versions={},
    )  # fmt: skip
    agent = LMAgent.load(tmp_path, card)
    observation = observations(1)[0]
    assert agent.policy.transcript(observation).ids == one.transcript(observation).ids
    assert agent.start(0).reply(observation).role == "assistant"


def test_sentence_vectors_of_a_local_model(policy, model_folder):
    one = policy()
    memory = filled(one, encoder=str(model_folder("gpt2")))
    vector = sentence_encoder(str(model_folder("gpt2")))("Hello, how much?")
    assert vector.shape == (32,) and memory.cases.states.shape == (4, 32)
    own = policy()
    filled(own)
    assert not own.reader.memory.cases.states.allclose(memory.cases.states)


@pytest.mark.parametrize(("name", "line"), [("nowhere", "is no folder of a model"), ("", "holds no model")])
def test_encoders_that_are_none(policy, tmp_path, name, line):
    with pytest.raises(DialogGymError, match=f"--encoder: .* {line}") as caught:
        policy().remember(Reading(encoder=str(tmp_path / name)))
    assert "\n" not in str(caught.value)


def test_a_memory_of_another_encoder(policy):
    from dialog_gym.agents.learning.memory import Memory
    from dialog_gym.agents.lm.recall import reader_of

    with pytest.raises(DialogGymError, match="is it of another encoder"):
        reader_of(policy(), Memory(Reading(), 7, len(DOMAIN.assistant_acts)))
