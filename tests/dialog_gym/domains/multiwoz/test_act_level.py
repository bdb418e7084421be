"""The act level: one dialogue is the N = 1 case of the arrays; an action said in acts is the same action."""

from itertools import cycle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog_gym.acts import Ontology, format_acts, parse_acts
from dialog_gym.core import END, DialogueAct
from dialog_gym.domains.multiwoz.bits import CONSTRAINTS, DOMAIN
from dialog_gym.domains.multiwoz.domain import MultiWOZDomain
from dialog_gym.domains.multiwoz.moves import MOVE, MOVES
from dialog_gym.domains.multiwoz.ontology import DOMAINS, INFORMABLE
from dialog_gym.domains.multiwoz.search import ManySearcher, OneSearcher
from dialog_gym.domains.multiwoz.state import FIELDS, one, start_arrays

DESK = MultiWOZDomain()
ACTS = DESK.act_level
ONTOLOGY = Ontology(DESK.assistant_acts, DESK.choices)


def begin(index, seeds, level=3, split="test", desk=DESK):
    space = desk.space(split=split, scenario="booking", level=level)
    index, seeds = np.asarray(index), np.asarray(seeds, np.uint64)
    lanes = desk.act_level.lanes(len(index))
    table = desk.act_level.prepare(space, index)
    rows = np.arange(len(index))
    lanes.begin(rows, table, rows, desk.noise_keys(space, index, seeds))
    return space, lanes


def dialogues(space, index, seeds):
    starts = DESK.starts(space, np.asarray(index), np.asarray(seeds, np.uint64))
    return [DESK.begin(DESK.write(space, starts, i, j), starts, i) for i, j in enumerate(index)]


def equal(state, other):
    for name in FIELDS:
        ours, theirs = getattr(state, name), getattr(other, name)
        assert ours == theirs and type(ours) is type(theirs), (name, ours, theirs)


def random_actions(rng, lanes, count):
    """Half of what the reference does, half of what the mask allows; second moves and entities at random."""
    allowed = lanes.allowed()
    moves = (rng.random(allowed.shape) * allowed).argmax(axis=1)
    other = np.stack([moves, rng.integers(len(MOVES), size=count), rng.integers(2, size=count)], axis=1)
    return np.where(rng.random((count, 1)) < 0.5, lanes.best_actions(), other)


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.integers(0, 9))
def test_one_dialogue_is_a_row_of_the_arrays_in_actions_and_in_acts(seed, level):
    rng = np.random.default_rng(seed)
    index, seeds = rng.integers(1024, size=9).tolist(), rng.integers(2**60, size=9).tolist()
    space, lanes = begin(index, seeds, level)
    alone = dialogues(space, index, seeds)
    in_acts = [DESK.start(d.task, seed) for d, seed in zip(alone, seeds, strict=True)]
    rows = np.arange(9)
    while len(rows):
        seen = np.empty((len(rows), ACTS.size), np.float32)
        masks = np.empty((len(rows), sum(ACTS.nvec)), np.int8)
        lanes.observe(seen)
        lanes.mask(masks)
        actions = random_actions(rng, lanes, len(rows))
        for j, i in enumerate(rows):
            view = alone[i].act_view()
            assert (view.vector == seen[j]).all() and (view.mask == masks[j]).all()
            assert alone[i].best_action() == tuple(lanes.best_actions()[j])
        said = [alone[i].acts_of(action) for i, action in zip(rows, actions.tolist(), strict=True)]
        lanes.step(actions)
        for j, i in enumerate(rows):
            step, spoken = alone[i].step_action(actions[j].tolist()), in_acts[i].step(said[j])
            equal(one(lanes.state, j), alone[i].state)
            equal(alone[i].state, in_acts[i].state)
            assert step == spoken and lanes.cost()[j] == sum(step.costs.values())
            assert step.rewards == {name: values[j] for name, values in lanes.rewards().items()}
            assert parse_acts(format_acts(said[j]), ONTOLOGY) == said[j] if said[j] else True
            facts = alone[i].outcome()
            for name, values in lanes.facts().items():
                assert facts[name] == pytest.approx(values[j], abs=1e-6)
        running = lanes.ended < 0
        lanes.keep(running)
        rows = rows[running]


def play(lanes, policy):
    """Facts of all dialogues of ``lanes`` under a policy."""
    rows = np.arange(len(lanes.ended))
    found = {}
    while len(rows):
        lanes.step(policy(lanes, len(rows)))
        over = lanes.ended >= 0
        for name, values in {**lanes.facts(), "ended": lanes.ended}.items():
            if name not in found:
                found[name] = np.zeros(len(rows), values.dtype)  # nobody has been dropped yet
            found[name][rows[over]] = values[over]
        lanes.keep(~over)
        rows = rows[~over]
    return found


def reference(lanes, count):
    return lanes.best_actions()


@pytest.mark.parametrize(("level", "least"), [(0, 1.0), (3, 0.99), (9, 0.97)])
def test_the_reference_reaches_sampled_goals(level, least):
    facts = play(begin(np.arange(400), np.arange(400), level)[1], reference)
    assert facts["converted"].mean() >= least and (facts["converted"] <= facts["complete"]).all()
    assert facts["violation_count"].sum() == 0 and 0.6 < facts["tse"].mean() < 1 and facts["tse"].max() <= 1
    assert (facts["ended"][facts["converted"]] == END["resolved"]).all()


def test_the_reference_reaches_the_thousand_real_test_goals(data):
    desk = MultiWOZDomain(goal_source="corpus", data_dir=data)
    assert desk.size("test") == 1000
    facts = play(begin(np.arange(1000), np.zeros(1000), desk=desk)[1], reference)
    assert facts["converted"].mean() >= 0.98 and facts["complete"].mean() >= 0.99


def test_trivial_policies_reach_next_to_nothing():
    rng = np.random.default_rng(0)
    order = cycle(range(1, len(MOVES)))
    policies = {
        "silent": lambda lanes, n: np.zeros((n, 3), int),
        "hello": lambda lanes, n: np.tile([MOVE["greet"], 0, 0], (n, 1)),
        "offer": lambda lanes, n: np.tile([MOVE["offer"], 0, 1], (n, 1)),
        "book": lambda lanes, n: np.tile([MOVE["book"], MOVE["answer"], 0], (n, 1)),
        "stop": lambda lanes, n: np.tile([MOVE["goodbye"], 0, 0], (n, 1)),
        "round": lambda lanes, n: np.tile([next(order), 0, 0], (n, 1)),
        "random": lambda lanes, n: np.stack([rng.integers(k, size=n) for k in ACTS.nvec], axis=1),
    }
    scores, chosen = {}, ("restaurant", "hotel", "attraction", "train")
    needs = [DESK.task(i).goal.need for i in range(400)]
    choosing = np.asarray([any(domain in need for domain in chosen) for need in needs])
    for name, policy in policies.items():
        scores[name] = play(begin(np.arange(400), np.arange(400))[1], policy)
        assert scores[name]["converted"][choosing].mean() < 0.02, name
        assert name == "book" or scores[name]["converted"].mean() < 0.05, name
    assert scores["silent"]["tse"].max() == scores["stop"]["tse"].max() == scores["hello"]["tse"].max() == 0
    assert scores["random"]["tse"].mean() < 0.2 and scores["offer"]["tse"].mean() < 0.5


def test_lanes_begin_anew_and_survive_their_end():
    space, lanes = begin(np.arange(8), np.arange(8))
    table = ACTS.prepare(space, np.arange(20))
    for _ in range(30):
        lanes.step(lanes.best_actions())
    assert (lanes.ended >= 0).all()
    rows, index = np.asarray([6, 1]), np.asarray([11, 15])
    lanes.begin(rows, table, index, DESK.noise_keys(space, index, np.asarray([3, 4], np.uint64)))
    for row, dialogue in zip(rows, dialogues(space, index.tolist(), [3, 4]), strict=True):
        equal(one(lanes.state, row), dialogue.state)
    assert ACTS.prepare(space, np.arange(0)).shape == (0,)


def test_noise_and_tasks_are_fixed_by_their_keys():
    first, again = (
        dialogues(DESK.space(split="test", scenario="booking", level=5), [3], [9])[0] for _ in "ab"
    )
    other = MultiWOZDomain()
    space = other.space(split="test", scenario="booking", level=5)
    elsewhere = other.begin(first.task, other.starts(space, np.asarray([3]), np.asarray([9], np.uint64)), 0)
    while first.ended_by is None:
        action = first.best_action()
        steps = [dialogue.step_action(action) for dialogue in (first, again, elsewhere)]
        assert steps[0] == steps[1] == steps[2]


def test_the_observation_stays_in_its_box():
    _, lanes = begin(np.arange(200), np.arange(200), level=9)
    rng = np.random.default_rng(1)
    for _ in range(20):
        seen = np.empty((200, ACTS.size), np.float32)
        lanes.observe(seen)
        assert seen.min() >= 0 and seen.max() <= 1.0
        assert lanes.allowed().any(axis=1).all()
        lanes.step(random_actions(rng, lanes, 200))


def test_what_the_agent_cannot_know_is_not_in_the_observation():
    """Two users who have said the same look the same, whatever else they want."""
    space = DESK.space(split="train", scenario="booking", level=0)
    tasks = np.arange(3000)
    _, lanes = begin(tasks, np.zeros(3000), level=0, split="train")
    s, seen = lanes.state, np.empty((3000, ACTS.size), np.float32)
    lanes.observe(seen)
    pointers = np.where((s.differs[:, None] >> np.arange(len(CONSTRAINTS))) & 1, s.first, s.value)
    told = np.where((s.told[:, None] >> np.arange(len(CONSTRAINTS))) & 1, pointers, -1)
    shown: dict[tuple[int, ...], set[bytes]] = {}
    for i in range(3000):
        key = (*told[i].tolist(), int(s.domain[i]), int(s.questions[i]))
        shown.setdefault(key, set()).add(seen[i].tobytes())
    assert space.size > 3000 and any(len(told) > 1 for told in shown)
    assert all(len(views) == 1 for views in shown.values())


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_both_searchers_agree_with_the_database(seed):
    rng = np.random.default_rng(seed)
    index = rng.integers(16384, size=40)
    drawn = DESK.draw(DESK.space(split="train", scenario="booking", level=9), index)
    s, many, alone = start_arrays(drawn), ManySearcher(DESK.lexicon), OneSearcher(DESK.lexicon)
    told, stale = s.info & rng.integers(2**40, size=40), s.differs & rng.integers(2**40, size=40)
    domain, row = rng.integers(len(DOMAINS), size=40), rng.integers(-1, 33, size=40)
    row[domain == DOMAIN["police"]] = 0
    wanted = rng.integers(2**39, size=40)
    found, wrong = many.find(s, domain, told, stale, wanted, row), many.misfit(s, domain, row, told, stale)
    for i in range(40):
        scalar = one(s, i)
        arguments = (int(domain[i]), int(told[i]), int(stale[i]))
        result = alone.find(scalar, *arguments, int(wanted[i]), int(row[i]))
        assert result == tuple(int(values[i]) for values in found)
        assert wrong[i] == alone.misfit(scalar, arguments[0], int(row[i]), *arguments[1:])
        name = DOMAINS[arguments[0]]
        if name in DESK.database.tables:
            constraints = {}
            for at, (owner, slot) in enumerate(CONSTRAINTS):
                if owner == name and slot in INFORMABLE[name] and arguments[1] >> at & 1:
                    pointer = (scalar.first if arguments[2] >> at & 1 else scalar.value)[at]
                    constraints[slot] = DESK.lexicon.values[pointer]
            assert alone.find(scalar, *arguments, 0, -1).count == DESK.database[name].count(constraints)


def test_moves_fit_the_acts_they_say():
    """Demonstrations in acts become the actions that said them."""
    space = DESK.space(split="test", scenario="booking", level=3)
    for dialogue in dialogues(space, list(range(30)), [1] * 30):
        while dialogue.ended_by is None:
            action = dialogue.best_action()
            acts = dialogue.acts_of(action)
            fitted = ACTS.fit(dialogue, acts, set())
            assert dialogue.acts_of(fitted) == acts
            dialogue.step_action(fitted)
    assert ACTS.fit(dialogue, [DialogueAct(intent="nonsense")], set()) == [0, 0, 0]


@st.composite
def any_act(draw):
    intent = draw(st.sampled_from(sorted(ONTOLOGY.acts)))
    slots = [slot.rstrip("?") for slot in ONTOLOGY.acts[intent]]
    chosen = draw(st.lists(st.sampled_from(slots), max_size=4, unique=True)) if slots else []
    values = st.one_of(
        st.none(), st.integers(-5, 5), st.floats(), st.booleans(), st.text(max_size=8),
        st.sampled_from(("cheap", "dontcare", "area", "friday", "12:30", "TR7075", "curry garden")),
    )  # fmt: skip
    return DialogueAct(intent=intent, slots={slot: draw(values) for slot in chosen})


@settings(max_examples=60)
@given(st.lists(st.lists(any_act(), max_size=4), min_size=1, max_size=6), st.integers(0, 1023))
def test_any_acts_are_survived(turns, index):
    space = DESK.space(split="test", scenario="booking", level=4)
    (dialogue,) = dialogues(space, [index], [0])
    for acts in turns:
        if dialogue.ended_by is None:
            step = dialogue.step(acts)
            assert all(np.isfinite(value) for value in step.rewards.values())
            assert 0 <= dialogue.outcome()["tse"] <= 1 and dialogue.hidden()
