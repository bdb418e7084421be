"""Inform and Success of dialogues small enough to score by hand."""

import pytest

from dialog_gym.benchmarks.multiwoz_corpus.judging import DomainGoal, JudgedTurn, estimated_domains, judge

INDIAN = {"food": "indian", "area": "centre"}
TO_ELY = {"departure": "cambridge", "destination": "ely", "day": "monday", "arrive": "08:30"}


def goal(*requestables, **domains):
    return {d: DomainGoal(wanted, frozenset(requestables)) for d, wanted in domains.items()}


def turn(response, state=None, active="restaurant", booked=""):
    return JudgedTurn(response, {active: state} if state is not None else {}, active.split(), booked.split())


@pytest.fixture
def verdict(venues):
    def judged(wanted, *turns):
        found = judge(wanted, turns, venues)
        return found.informed, found.succeeded

    return judged


def test_an_offer_that_meets_the_goal(verdict):
    assert verdict(goal(restaurant=INDIAN), turn("how about NAME?", INDIAN)) == (True, True)


def test_nothing_offered(verdict):
    assert verdict(goal(restaurant=INDIAN), turn("there are COUNT", INDIAN)) == (False, False)


def test_an_offer_before_the_constraints_are_known(verdict):
    """The state allows a venue in the north, so the offer may be wrong."""
    assert verdict(goal(restaurant=INDIAN), turn("NAME", {"food": "indian"})) == (False, False)


def test_a_later_offer_with_all_constraints_counts(verdict):
    early, late = turn("NAME", {"food": "indian"}), turn("NAME", INDIAN)
    assert verdict(goal(restaurant=INDIAN), early, late) == (True, True)


def test_a_wider_state_takes_nothing_back(verdict):
    late, early = turn("NAME", {"food": "indian"}), turn("NAME", INDIAN)
    assert verdict(goal(restaurant=INDIAN), early, late) == (True, True)


def test_a_later_wrong_offer_replaces_a_right_one(verdict):
    right, wrong = turn("NAME", INDIAN), turn("NAME", {"food": "portuguese"})
    assert verdict(goal(restaurant=INDIAN), right, wrong) == (False, False)


def test_a_later_offer_of_nothing_replaces_a_right_one(verdict):
    right, empty = turn("NAME", INDIAN), turn("NAME", {"food": "welsh"})
    assert verdict(goal(restaurant=INDIAN), right, empty) == (False, False)
    assert verdict(goal(restaurant=INDIAN), right, turn("NAME")) == (False, False)


def test_a_narrower_offer_is_right(verdict):
    assert verdict(goal(restaurant=INDIAN), turn("NAME", INDIAN | {"pricerange": "cheap"})) == (True, True)


def test_only_active_domains_count(verdict):
    elsewhere = JudgedTurn("NAME", {"restaurant": INDIAN}, ["hotel"], [])
    assert verdict(goal(restaurant=INDIAN), elsewhere) == (False, False)


def test_a_goal_that_names_the_venue_needs_no_offer(verdict):
    assert verdict(goal(restaurant={"name": "kohinoor"})) == (True, True)


@pytest.mark.parametrize("domain", ["taxi", "police", "hospital"])
def test_domains_without_venues_need_no_offer(verdict, domain):
    assert verdict(goal(**{domain: {}})) == (True, True)
    assert verdict(goal("PHONE", **{domain: {}})) == (True, False)
    assert verdict(goal("PHONE", **{domain: {}}), turn("call PHONE", active=domain)) == (True, True)


def test_requestables(verdict):
    wanted = goal("PHONE", "ADDRESS", restaurant=INDIAN)
    assert verdict(wanted, turn("NAME, PHONE", INDIAN)) == (True, False)
    assert verdict(wanted, turn("NAME, PHONE", INDIAN), turn("ADDRESS", INDIAN)) == (True, True)
    elsewhere = JudgedTurn("ADDRESS", {}, ["hotel"], [])
    assert verdict(wanted, turn("NAME, PHONE", INDIAN), elsewhere) == (True, False)


def test_a_reference_counts_only_when_the_corpus_has_booked(verdict):
    wanted = goal("REFERENCE", restaurant=INDIAN)
    offer = turn("NAME", INDIAN)
    assert verdict(wanted, offer, turn("it is REFERENCE")) == (True, False)
    assert verdict(wanted, offer, turn("it is REFERENCE", booked="hotel")) == (True, False)
    assert verdict(wanted, offer, turn("it is REFERENCE", booked="hotel restaurant")) == (True, True)


def test_trains(verdict):
    wanted = goal(train=TO_ELY)
    assert verdict(wanted, turn("there are COUNT trains", TO_ELY, "train")) == (True, True)
    assert verdict(wanted, turn("TRAINID", TO_ELY, "train")) == (True, True)
    assert verdict(wanted, turn("NAME", TO_ELY | {"day": "tuesday"}, "train")) == (True, True)
    assert verdict(wanted, turn("TRAINID", TO_ELY | {"day": "tuesday"}, "train")) == (False, False)
    assert verdict(wanted, turn("TRAINID", TO_ELY | {"arrive": "23:00"}, "train")) == (True, True)
    later = {slot: value for slot, value in TO_ELY.items() if slot != "arrive"} | {"leave": "07:00"}
    assert verdict(wanted, turn("TRAINID", later, "train")) == (True, True)
    early = goal(train=TO_ELY | {"arrive": "07:00"})
    assert verdict(early, turn("TRAINID", TO_ELY, "train")) == (False, False)


def test_a_train_whose_number_is_asked_for_must_be_offered(verdict):
    wanted = goal("TRAINID", train=TO_ELY)
    assert verdict(wanted, turn("there are COUNT trains", TO_ELY, "train")) == (False, False)
    assert verdict(wanted, turn("TRAINID", TO_ELY, "train")) == (True, True)


def test_success_of_a_domain_needs_the_whole_dialogue(venues):
    wanted = goal(restaurant=INDIAN, hotel={"area": "east"})
    found = judge(wanted, [turn("NAME", INDIAN)], venues)
    assert found.inform == {"restaurant": True, "hotel": False}
    assert found.success == {"restaurant": False, "hotel": False}
    whole = judge(wanted, [turn("NAME", INDIAN), turn("NAME", {"area": "east"}, "hotel")], venues)
    assert whole.informed and whole.success == {"restaurant": True, "hotel": True}


def test_estimated_domains():
    hotel, food = {"area": "east"}, {"food": "thai"}
    states = [
        {},
        {"hotel": hotel},
        {"hotel": hotel},
        {"hotel": hotel, "restaurant": food},
        {"hotel": hotel | {"stars": "4"}, "restaurant": food | {"area": "centre"}},
        {"hotel": hotel | {"stars": "4"}, "restaurant": food | {"area": "centre"}},
        {"hotel": hotel | {"stars": "4"}, "restaurant": food | {"area": "centre"}},
        {"taxi": {"leave": "08:00"}, "train": {"day": "monday", "leave": "08:00"}},
    ]
    assert [domain for domain, *_ in estimated_domains(states)[1:]] == [
        "hotel", "hotel", "restaurant",
        "restaurant",  # both changed: the one before stays
        "hotel",  # nothing changed: the other of the two, once
        "hotel",
        "train",  # both changed, neither is the one before: the fuller one
    ]  # fmt: skip
    assert estimated_domains(states)[0] == []
    assert estimated_domains([{"taxi": {"leave": "1"}, "hotel": hotel}]) == [["taxi"]], "a tie: the first one"
    assert estimated_domains([{"hotel": hotel}, {}]) == [["hotel"], ["hotel"]], "removal is no change"
