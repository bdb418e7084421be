"""Training a user model: what it learns from, and that it learns."""

import json
import math
from pathlib import Path

import pytest

from dialog_gym.agents.base import load_agent
from dialog_gym.core import DialogGymError, DialogueAct, Turn
from dialog_gym.envs.dialogue_env import DialogueEnv
from dialog_gym.rollout import play_many
from dialog_gym.simulators import training_data as data
from dialog_gym.simulators.delexical import marked, shown
from dialog_gym.simulators.generation import Generator
from dialog_gym.simulators.local import LocalGenerator, prompt_ids
from dialog_gym.simulators.trained import card_of
from dialog_gym.simulators.worded import WordedSimulator


@pytest.fixture(scope="module")
def played():
    env = DialogueEnv(scenario="customer_service", split="train", difficulty={"typos": 0.0})
    return play_many(env.begin_many(range(30), range(30)), load_agent("scripted"))


@pytest.fixture(scope="module")
def examples(played):
    return [example for one in played for example in data.shop_examples(one)]


def test_every_turn_that_can_be_read_is_learnt_both_ways(played, examples):
    said = [t.text for one in played for t in one.turns if t.role == "user" and t.acts[0].intent != "unclear"]
    learnt = {task: [e.target for e in examples if e.task == task] for task in (data.FEEDBACK, data.CHOICE)}
    assert learnt[data.CHOICE] == said
    assert len(said) * 0.98 < sum(text in learnt[data.FEEDBACK] for text in said)
    assert len(learnt[data.FEEDBACK]) > 25 * len(played)  # with drawn acts


def test_feedback_is_given_acts_and_choice_the_goal(examples):
    for example in examples:
        system, last = example.prompt[0]["content"], example.prompt[-1]["content"]
        assert ("Goal:" in system) == (example.task in (data.CHOICE, data.ALIGNMENT))
        assert ("(" in last.rpartition("\n")[2]) >= (example.task == data.FEEDBACK)
        assert sum("(" in message["content"].rpartition("\n")[2] for message in example.prompt[:-1]) == 0


def test_the_label_is_not_in_the_prompt(examples):
    """Who words acts is not told the goal; what shows the goal is to be found in the user's words."""
    env = DialogueEnv(scenario="proactive_sale", split="train", difficulty={"typos": 0.0})
    sold = play_many(env.begin_many(range(10), range(10)), load_agent("scripted"))
    shows = [one for dialogue in sold for one in data.shop_examples(dialogue) if one.task == data.TARGET]
    assert shows and not any(example.target in str(example.prompt) for example in shows)
    worded = [example for example in examples if example.task == data.FEEDBACK]
    assert not any("Goal:" in str(example.prompt) for example in worded)


def test_alignment_and_target():
    task = DialogueEnv().domain.task(0)
    amount = task.goal.constraints["amount"]
    act = DialogueAct(intent="offer", slots={"product": "pay_later", "amount": amount})
    assert data.alignment(Turn(role="assistant", text="", acts=(act,)), task) == "amount matches"
    other = DialogueAct(intent="offer", slots={"product": "pay_later", "amount": 1})
    assert data.alignment(Turn(role="assistant", text="", acts=(other,)), task) == "amount differs"
    assert data.alignment(Turn(role="assistant", text="", acts=()), task) == ""
    told = DialogueAct(intent="disclose", slots={"slot": "amount", "value": amount})
    assert data.target(Turn(role="user", text="", acts=(told,)), task) == f"amount: {amount}"


def test_held_out_dialogues_are_never_learnt(examples):
    chosen = data.mixed(examples, {data.FEEDBACK: 20, data.TARGET: 5}, seed=1)
    assert len(chosen) <= 25 and {one.task for one in chosen} <= {data.FEEDBACK, data.TARGET}
    assert not any(data.held_out(one.id) for one in chosen)
    assert chosen == data.mixed(examples, {data.FEEDBACK: 20, data.TARGET: 5}, seed=1)
    assert chosen != data.mixed(examples, {data.FEEDBACK: 20, data.TARGET: 5}, seed=2)
    ids = [f"dialogue {number}" for number in range(2000)]
    assert 0.03 < sum(map(data.held_out, ids)) / 2000 < 0.07


def test_real_dialogues_must_be_there(tmp_path):
    with pytest.raises(DialogGymError, match="DIALOG_GYM_DATA"):
        next(data.real_examples(tmp_path))


# -- with torch


@pytest.fixture(scope="module")
def training():
    pytest.importorskip("torch", reason="an optional dependency is missing")
    pytest.importorskip("transformers", reason="an optional dependency is missing")
    from dialog_gym.simulators import training

    return training


@pytest.fixture(scope="module")
def chat(training):
    from dialog_gym.lm.chat import ChatFormat
    from dialog_gym.lm.loading import load

    return ChatFormat(load().tokenizer)


def test_the_loss_is_on_what_the_user_writes(training, chat, examples):
    told = next(e for e in examples if e.task == data.FEEDBACK and "amount" in e.prompt[-1]["content"])
    one, seen = training.sequenced(chat, told), shown(told.prompt)
    assert one.ids[: one.start] == prompt_ids(chat, seen.prompt)
    assert chat.text(one.ids[one.start :]) == marked(told.target, seen.values) != told.target
    assert one.ids[-1] == chat.close
    long = examples[0]._replace(target="word " * 2000)
    assert len(training.sequenced(chat, long).ids) == training.LONGEST


@pytest.fixture(scope="module")
def trained(training, examples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    seen = []
    few = [example for example in examples if example.task == data.FEEDBACK][:48]
    training.fit(few * 2, training.Recipe(batch=8, rate=1e-3), folder, seen.append)
    return folder, few, seen


def test_it_learns(training, chat, trained):
    from dialog_gym.lm.loading import load

    folder, few, seen = trained
    assert [now.updates for now in seen] == list(range(1, 13)) and seen[-1].of == 12
    before, after = (training.perplexity(load(name).model, chat, few) for name in ("", str(folder)))
    assert after < before / 2
    assert math.isnan(training.perplexity(load().model, chat, []))


def test_the_folder_is_a_simulator(trained):
    folder = trained[0]
    card = json.loads((folder / "user.json").read_text("utf-8"))
    assert card["style"] == "compact" and card["by_task"] == {"feedback": 96}
    assert not list(folder.glob("*.part"))
    assert card["marks"] is True
    users = WordedSimulator(folder)
    assert users.style == "compact" and users.generator.model == str(folder)
    assert users.settings()["model"] != WordedSimulator("").settings()["model"]


def test_training_again_gives_the_same_weights(training, trained, tmp_path):
    folder, few, _ = trained
    training.fit(few * 2, training.Recipe(batch=8, rate=1e-3), tmp_path, lambda now: None)
    same = [Path(at, "model.safetensors").read_bytes() for at in (folder, tmp_path)]
    assert same[0] == same[1]


def test_training_goes_on_from_a_user_model(training, trained, tmp_path):
    folder, few, _ = trained
    facts = training.fit(few[:8], training.Recipe(str(folder), batch=8), tmp_path, lambda now: None)
    assert facts["before"] == json.loads((folder / "user.json").read_text("utf-8"))
    assert "before" not in facts["before"]


@pytest.mark.parametrize("damage", ["{", "[]"])
def test_a_damaged_card_is_refused(tmp_path, damage):
    (tmp_path / "user.json").write_text(damage, "utf-8")
    with pytest.raises(DialogGymError, match="train it again"):
        card_of(tmp_path)


# -- the local generator


def test_words_depend_on_prompt_and_seed_only(training):
    generator = LocalGenerator(max_new_tokens=8, temperature=1.0)
    prompts = [
        [{"role": "system", "content": "Customer."}, {"role": "user", "content": text}]
        for text in ("Hello.", "How much would you like to borrow?", "Hello.")
    ]
    together = generator.generate(prompts, [1, 2, 3])
    assert together == [generator.generate([prompts[i]], [i + 1])[0] for i in range(3)]
    assert generator.generate(prompts[:1] * 20, range(20)) != [together[0]] * 20
    assert generator.generate([], []) == []
    assert (generator.calls, generator.tokens > 0) == (5, True)


def test_a_longer_chat_goes_on(training, chat):
    prompt = [
        {"role": "system", "content": "Customer."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Who is it?"},
    ]
    ids = prompt_ids(chat, prompt)
    assert ids[: len(prompt_ids(chat, prompt[:2]))] == prompt_ids(chat, prompt[:2])
    assert "Hi." in chat.tokenizer.decode(ids)


def test_it_is_a_generator():
    generator: Generator = LocalGenerator("somewhere")
    assert generator.name == "lm:somewhere"
