"""Goals of the corpus, sampled goals, and whether the databases can satisfy them."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialog_gym.core import DialogGymError
from dialog_gym.domains.multiwoz.bookings import problem
from dialog_gym.domains.multiwoz.corpus import load_goals
from dialog_gym.domains.multiwoz.database import Database, load_database
from dialog_gym.domains.multiwoz.goal_sampling import GoalSampler, load_goal_model
from dialog_gym.domains.multiwoz.goals import DomainGoal, MultiWozGoal, problems, read_goal
from dialog_gym.domains.multiwoz.ontology import BOOKABLE, INFORMABLE, REQUESTABLE

SAMPLER = GoalSampler()


def goal(**domains):
    return MultiWozGoal(domains={name: DomainGoal(**part) for name, part in domains.items()})


def test_a_goal_in_the_corpus_layout(own):
    found = read_goal("OWN1", own["goal"], load_database())
    assert tuple(found.domains) == ("hotel", "train"), "in the order of the instructions"
    assert found.message[0] == "You are looking for a place to stay"
    hotel, train = found.domains["hotel"], found.domains["train"]
    assert hotel.info == {"type": "guesthouse", "area": "north"}
    assert hotel.fail_info == hotel.first_info == {"type": "hotel", "area": "west", "internet": "no"}
    assert hotel.book == {"bookpeople": "2", "bookday": "friday", "bookstay": "3"}
    assert hotel.first_book == hotel.book | {"bookstay": "5"} and hotel.fail_book == {"bookstay": "5"}
    assert train.info == {"departure": "cambridge", "destination": "ely", "day": "monday", "leaveat": "09:15"}
    assert train.first_info == train.info and train.requests == ("trainid", "price")
    assert problems(found, load_database()) == ()
    assert MultiWozGoal.model_validate_json(found.model_dump_json()) == found


def test_constraints_that_have_matches_do_not_fail_first(own):
    hotel = own["goal"]["hotel"] | {"fail_info": {"type": "hotel", "area": "north"}}
    found = read_goal("OWN1", own["goal"] | {"hotel": hotel}, load_database())
    assert found.domains["hotel"].fail_info == {}


@pytest.mark.parametrize(
    ("part", "line"),
    [
        (
            {"hotel": {"info": {"area": "west", "stars": "1"}}},
            "hotel: nothing fits {'area': 'west', 'stars': '1'}",
        ),
        ({"hotel": {"info": {}, "requests": ("trainid",)}}, "hotel: nothing that fits has all of trainid"),
        (
            {"hotel": {"fail_info": {"area": "west"}}},
            "hotel: {'area': 'west'} should fail first, but something",
        ),
        ({"attraction": {"book": {"bookday": "friday"}}}, "attraction: takes no bookings"),
        ({"train": {"book": {"bookpeople": "many"}}}, "train: booking: bookpeople is not understood"),
        ({"train": {"book": {"bookpeople": "2"}, "fail_book": {"bookpeople": "2"}}}, "is not available"),
    ],
)
def test_why_a_goal_cannot_be_met(part, line):
    (found,) = problems(goal(**part), load_database())
    assert line in found


def test_every_goal_of_validation_and_test_can_be_met(corpus):
    assert [one.id for one in corpus if problems(one.goal, load_database())] == []


def test_goals_without_dialogues(tmp_path, own, convlab):
    convlab(tmp_path, "val", {"OWN1": own})
    assert load_goals("validation", tmp_path) == {"OWN1": read_goal("OWN1", own["goal"], load_database())}


def test_what_fails_first_is_what_the_instructions_say(corpus):
    """The rule that tells live ``fail_info`` from left-overs, checked on every real goal."""
    for one in corpus:
        text, parts = " ".join(one.goal.message), one.goal.domains.values()
        assert text.count("If there is no such") == sum(bool(part.fail_info) for part in parts)
        refused = sum(bool(part.fail_book) for part in parts)
        assert text.count("If the booking fails") >= refused


def test_bookings_are_refused_where_the_goal_says_so(corpus):
    """`fail_book` is what counts: instructions also mention fallbacks for bookings that succeed at once."""
    said: dict[bool, list[bool]] = {True: [], False: []}
    for one in corpus:
        if any(part.book for part in one.goal.domains.values()):
            refused = any(act.intent.endswith("no_book") for turn in one.turns for act in turn.acts)
            said[any(part.fail_book for part in one.goal.domains.values())].append(refused)
    assert sum(said[True]) / len(said[True]) > 0.9 > 0.1 > sum(said[False]) / len(said[False])


@settings(max_examples=150)
@given(st.integers(min_value=-(2**70), max_value=2**70))
def test_sampled_goals_can_be_met(key):
    found = SAMPLER.sample(key)
    assert found == SAMPLER.sample(key)
    assert problems(found, load_database()) == ()
    for domain, part in found.domains.items():
        assert part.info.keys() <= set(INFORMABLE[domain])
        assert set(part.requests) <= set(REQUESTABLE[domain])
        assert bool(part.book) != bool(part.requests), "a booking, or questions, as in the corpus"
        assert not part.info.keys() & set(part.requests)
        assert not part.fail_info or part.fail_info.keys() == part.info.keys()
        if part.fail_book:
            assert problem(domain, part.first_book, part.fail_book).endswith("is not available")
    if "taxi" in found.domains:
        places = {"departure", "destination"}
        assert (found.domains["taxi"].info.keys() >= places) == (len(found.domains) == 1)


def test_a_sampled_goal_is_the_same_on_every_machine():
    found = SAMPLER.sample(7)
    assert list(found.domains) == ["attraction", "restaurant"]
    assert found.domains["restaurant"].book == {"bookday": "thursday", "booktime": "16:30", "bookpeople": "2"}
    assert found.domains["restaurant"].fail_book == {"booktime": "16:15"}


def test_sampled_goals_have_the_statistics_of_the_corpus():
    goals = [SAMPLER.sample(key) for key in range(4000)]
    model = load_goal_model()
    orders = Counter(tuple(found.domains) for found in goals)
    total = sum(share for _, share in model["domains"])
    for domains, share in model["domains"]:
        assert orders[tuple(domains)] / 4000 == pytest.approx(share / total, abs=0.02)
    for domain in BOOKABLE:
        parts = [found.domains[domain] for found in goals if domain in found.domains]
        booked = sum(bool(part.book) for part in parts) / len(parts)
        assert booked == pytest.approx(model["domain"][domain]["book"], abs=0.05)
    trains = [found.domains["train"].info for found in goals if "train" in found.domains]
    assert sum("leaveat" in info for info in trains) / len(trains) == pytest.approx(0.487, abs=0.05)
    tables = [
        f.domains["restaurant"].book.get("booktime")
        for f in goals
        if {"taxi", "restaurant"} <= f.domains.keys()
    ]
    assert sum(map(bool, tables)) > 50
    searched = [p for f in goals for d, p in f.domains.items() if d == "restaurant" and "name" not in p.info]
    assert 0.2 < sum(bool(part.fail_info) for part in searched) / len(searched) < 0.4


def test_a_taxi_arrives_in_time_for_the_table():
    goals = [SAMPLER.sample(key, ("restaurant", "hotel", "taxi")) for key in range(60)]
    assert {tuple(found.domains) for found in goals} == {("restaurant", "hotel", "taxi")}
    for found in goals:
        table = found.domains["restaurant"].book.get("booktime")
        assert (
            found.domains["taxi"].info == {"arriveby": table}
            if table
            else "leaveat" in found.domains["taxi"].info
        )


def test_sampling_mistakes_are_one_line():
    with pytest.raises(DialogGymError, match="unknown domain 'bus'"):
        SAMPLER.sample(1, ("bus",))
    nothing = Database({"police": [{"name": "nobody"}]})
    with pytest.raises(DialogGymError, match="the database has no police"):
        GoalSampler(nothing).sample(1, ("police",))
