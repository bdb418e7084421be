"""The ontology, and the corpus's act labels read into it."""

import pytest

from dialog_gym.acts import checked_act, format_acts, parse_acts
from dialog_gym.core import DialogGymError, DialogueAct
from dialog_gym.domains.multiwoz.corpus_acts import ActReader
from dialog_gym.domains.multiwoz.database import load_database
from dialog_gym.domains.multiwoz.layouts import turns_of_2_1
from dialog_gym.domains.multiwoz.ontology import (
    ASSISTANT,
    BOOKABLE,
    DOMAINS,
    ENTITY,
    INFORMABLE,
    REQUESTABLE,
    USER,
    slots_of,
)


def act(intent, **slots):
    return DialogueAct(intent=intent, slots=slots)


def read(labels, *, of_user=False, services=("hotel",)):
    return list(ActReader(services).read(labels, of_user=of_user))


@pytest.mark.parametrize(
    ("labels", "acts"),
    [
        (
            {"Hotel-Inform": [["Area", "the North"], ["Stars", "four"]]},
            [act("hotel_inform", area="north", stars="4")],
        ),
        ({"Hotel-Inform": [["none", "none"]]}, [act("hotel_inform")]),
        ({"Hotel-Inform": [["Internet", "none"]]}, [act("hotel_inform", internet=None)]),
        ({"Hotel-Inform": [["Area", "that area"]]}, [act("hotel_inform")]),
        (
            {"Hotel-Request": [["Area", "?"], ["Price", "?"]]},
            [act("hotel_request", slot="area"), act("hotel_request", slot="pricerange")],
        ),
        (
            {"Hotel-Recommend": [["Name", "Avalon"], ["Name", "Limehouse"], ["Price", "cheap"]]},
            [
                act("hotel_recommend", name="avalon", pricerange="cheap"),
                act("hotel_recommend", name="limehouse"),
            ],
        ),
        (
            {"Booking-Book": [["Ref", "ABC1"], ["Name", "Avalon"]]},
            [act("hotel_book", ref="ABC1", name="avalon")],
        ),
        ({"Booking-Inform": [["none", "none"]]}, [act("hotel_offer_book")]),
        ({"Booking-NoBook": [["Day", "Friday"]]}, [act("hotel_no_book", bookday="friday")]),
        ({"Booking-Request": [["Stay", "?"]]}, [act("hotel_request", slot="bookstay")]),
        ({"Train-OfferBook": [["none", "none"]]}, [act("train_offer_book")]),
        (
            {"Train-OfferBooked": [["Ref", "X"], ["Ticket", "10 GBP"]]},
            [act("train_book", ref="X", price="10 GBP")],
        ),
        (
            {"Train-Inform": [["Time", "50 minutes"], ["Leave", "9:00"], ["Id", "TR1"]]},
            [act("train_inform", duration="50 minutes", leaveat="09:00", trainid="TR1")],
        ),
        (
            {"Taxi-Inform": [["Car", "red ford"], ["Phone", "1"]]},
            [act("taxi_book", type="red ford", phone="1")],
        ),
        ({"Taxi-Inform": [["Leave", "after 5 pm"]]}, [act("taxi_inform", leaveat="17:00")]),
        (
            {"Attraction-NoOffer": [["Type", "swimming pools"]]},
            [act("attraction_no_offer", type="swimmingpool")],
        ),
        (
            {"general-bye": [["none", "none"]], "general-reqmore": [["none", "none"]]},
            [act("goodbye"), act("reqmore")],
        ),
        (
            {"Hotel-inform": [["area", "north"]], "booking-book": [["ref", "A"]]},
            [act("hotel_inform", area="north"), act("hotel_book", ref="A")],
        ),
        (
            {"Attraction-Request": [["Price", "?"], ["Food", "?"]]},
            [act("attraction_request", slot="entrancefee")],
        ),
        (
            {"Attraction-Inform": [["pricerange", "free"], ["Food", "x"]]},
            [act("attraction_inform", entrancefee="free")],
        ),
        ({"Hotel-Sing": [["none", "none"]], "Moon-Inform": [["none", "none"]], "general-hum": []}, []),
    ],
)
def test_labels_become_acts(labels, acts):
    assert read(labels) == acts


def test_a_booking_is_about_what_the_dialogue_is_about():
    reader = ActReader(["restaurant", "hotel"])
    book = {"Booking-Book": [["Ref", "A"]]}
    reader.read({"Hotel-Inform": [["none", "none"]]}, of_user=True)
    assert [a.intent for a in reader.read(book, of_user=False)] == ["hotel_book"]
    reader.read({"Restaurant-Inform": [["none", "none"]]}, of_user=True)
    assert [a.intent for a in reader.read(book, of_user=False)] == ["restaurant_book"]
    stay = {"Booking-Request": [["Stay", "?"]]}
    assert [a.intent for a in reader.read(stay, of_user=False)] == ["hotel_request"]
    assert [a.intent for a in reader.read(book, of_user=False)] == ["hotel_book"]


def test_users_do_not_book_taxis_by_naming_a_car():
    assert read({"Taxi-Inform": [["Car", "red ford"]]}, of_user=True) == [act("taxi_inform", type="red ford")]


def test_acts_can_be_written_and_read():
    acts = (
        act("hotel_inform", area="north", stars="4"),
        act("hotel_request", slot="bookday"),
        act("goodbye"),
    )
    assert parse_acts(format_acts(acts), ASSISTANT) == acts
    with pytest.raises(DialogGymError, match="did you mean 'hotel_inform'"):
        parse_acts("hotel_infrm(area=north)", ASSISTANT)
    with pytest.raises(DialogGymError, match="area='nrth'; did you mean 'north'"):
        parse_acts("hotel_inform(area=nrth)", ASSISTANT)


def test_the_ontology_is_consistent():
    for domain in DOMAINS:
        slots = slots_of(domain)
        assert len(set(slots)) == len(slots)
        for kind in (INFORMABLE, REQUESTABLE, BOOKABLE):
            assert set(kind.get(domain, ())) <= set(slots)
        assert {f"{domain}_inform", f"{domain}_request"} <= ASSISTANT.acts.keys() & USER.acts.keys()
        assert set(slots) <= set(ASSISTANT.choices["slot"])
    for domain, table in load_database().tables.items():
        held = {slot for row in table.rows for slot in row}
        assert set(INFORMABLE[domain]) <= held <= set(slots_of(domain)), domain
        assert domain == "hospital" or all(ENTITY[domain] in row for row in table.rows)


def test_every_act_of_the_corpus_is_one_of_ours(real):
    """On real dialogues: nothing is lost but the odd label, and nothing invalid comes in."""
    count = 0
    for split in real.values():
        for raw in split.values():
            for turn, source in zip(turns_of_2_1(raw), raw["log"], strict=True):
                ontology = USER if turn["role"] == "user" else ASSISTANT
                for one in turn["acts"]:
                    assert checked_act(one.intent, one.slots, ontology) == one
                assert bool(turn["acts"]) == bool(source["dialog_act"])
                count += len(turn["acts"])
    assert count > 2000
