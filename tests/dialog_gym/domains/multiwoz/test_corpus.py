"""The dialogues of every layout.

The 2.2 dialogue files cannot be had where these tests are written. What is read as 2.2 here are real
dialogues of 2.1 (ConvLab-2's), rewritten into the layout that ``MultiWOZ_2.2/README.md`` describes.
"""

import json
import shutil
import zipfile

import pytest

from dialog_gym.core import DialogGymError
from dialog_gym.domains.multiwoz.corpus import load_dialogues, load_goals, load_schema
from dialog_gym.domains.multiwoz.ontology import (
    AREAS,
    ATTRACTION_TYPES,
    BOOKABLE,
    DAYS,
    DOMAINS,
    HOTEL_TYPES,
    INFORMABLE,
    PRICES,
    STATIONS,
    slots_of,
)
from dialog_gym.domains.multiwoz.releases import FILES

NAMES_2_2 = {
    "Addr": "address", "Area": "area", "Arrive": "arriveby", "Car": "type", "Choice": "choice",
    "Depart": "departure", "Dest": "destination", "Fee": "entrancefee", "Food": "food", "Id": "trainid",
    "Internet": "internet", "Leave": "leaveat", "Name": "name", "Open": "openhours", "Parking": "parking",
    "People": "bookpeople", "Phone": "phone", "Post": "postcode", "Ref": "ref", "Stars": "stars",
    "Stay": "bookstay", "Ticket": "price", "Type": "type", "none": "none",
}  # fmt: skip
STATE_2_2 = {"leaveAt": "leaveat", "arriveBy": "arriveby"}
SPLITS_2_2 = {"validation": "dev", "test": "test", "train": "train"}


def act_name(label, slot):
    if slot == "Day":
        return "day" if label.startswith("Train") else "bookday"
    if slot == "Time":
        return "duration" if label.startswith("Train") else "booktime"
    if slot == "Price":
        return "pricerange"
    return NAMES_2_2[slot]


def state_2_2(metadata):
    """``{domain: {domain-slot: [values]}}`` of the metadata of 2.1."""
    states = {}
    for domain, parts in metadata.items():
        for part, prefix in (("semi", ""), ("book", "book")):
            for slot, value in parts[part].items():
                if isinstance(value, str) and value not in ("", "not mentioned", "none"):
                    name = f"{domain}-{prefix}{STATE_2_2.get(slot, slot)}"
                    states.setdefault(domain, {})[name] = value.split("|")
    return states


def as_2_2(identity, raw):
    """A dialogue of 2.1 in the layout of 2.2: the dialogue, and its entry in ``dialog_acts.json``."""
    turns, acts = [], {}
    for i, turn in enumerate(raw["log"]):
        frames = []
        if i % 2 == 0:
            states = state_2_2(raw["log"][i + 1]["metadata"])
            for domain in DOMAINS:
                intent = (
                    f"find_{domain}"
                    if any(a.startswith(domain.title()) for a in turn["dialog_act"])
                    else "NONE"
                )
                state = {
                    "active_intent": intent,
                    "requested_slots": [],
                    "slot_values": states.get(domain, {}),
                }
                frames.append({"actions": [], "service": domain, "slots": [], "state": state})
        speaker = "SYSTEM" if i % 2 else "USER"
        turns.append(
            {"frames": frames, "speaker": speaker, "turn_id": str(i), "utterance": turn["text"].strip()}
        )
        labels = {a: [[act_name(a, s), v] for s, v in pairs] for a, pairs in turn["dialog_act"].items()}
        acts[str(i)] = {"dialog_act": labels, "span_info": []}
    services = [domain for domain in DOMAINS if raw["goal"].get(domain)]
    return {"dialogue_id": f"{identity}.json", "services": services, "turns": turns}, acts


def write_2_2(folder, split, dialogues):
    """Dialogues as the files of a split of 2.2, spread over as many files as the release has."""
    rewritten = {identity: as_2_2(identity, raw) for identity, raw in dialogues.items()}
    target = folder / "multiwoz" / "MultiWOZ_2.2"
    names = sorted(name for name in FILES if name.startswith(f"MultiWOZ_2.2/{SPLITS_2_2[split]}/"))
    (target / SPLITS_2_2[split]).mkdir(parents=True)
    every = [dialogue for dialogue, _ in rewritten.values()]
    share = -(-len(every) // len(names))
    for i, name in enumerate(names):
        (folder / "multiwoz" / name).write_text(json.dumps(every[i * share : (i + 1) * share]))
    acts_file = target / "dialog_acts.json"
    acts = json.loads(acts_file.read_text()) if acts_file.exists() else {}
    acts |= {f"{identity}.json": entry for identity, (_, entry) in rewritten.items()}
    acts_file.write_text(json.dumps(acts))


def write_2_1(folder, dialogues):
    """The official archive: one file for all, and lists of the ids of validation and test."""
    (folder / "multiwoz").mkdir(parents=True, exist_ok=True)
    every = {f"{identity}.json": raw for part in dialogues.values() for identity, raw in part.items()}
    with zipfile.ZipFile(folder / "multiwoz" / "MultiWOZ_2.1.zip", "w") as archive:
        archive.writestr("MultiWOZ_2.1/data.json", json.dumps(every))
        for split, name in (("validation", "valListFile.txt"), ("test", "testListFile.txt")):
            archive.writestr(f"MultiWOZ_2.1/{name}", "".join(f"{one}.json\n" for one in dialogues[split]))


@pytest.fixture
def layouts(tmp_path, real, convlab):
    """A folder with the same real dialogues in all three layouts."""
    dialogues = {"validation": real["val"], "test": real["test"]}
    for split, part in dialogues.items():
        write_2_2(tmp_path, split, part)
        convlab(tmp_path, {"validation": "val"}.get(split, split), part)
    write_2_1(tmp_path, dialogues | {"train": {"OWN0": real["val"]["PMUL1635"]}})
    return tmp_path


def test_the_real_corpus_is_read(corpus):
    for split, size, turns in (("validation", 999, 14_730), ("test", 1000, 14_744)):
        dialogues = [one for one in corpus if one.split == split]
        assert len({one.id for one in dialogues}) == len(dialogues) == size
        assert sum(len(one.turns) for one in dialogues) == turns
        for one in dialogues:
            assert [turn.role for turn in one.turns] == ["user", "assistant"] * (len(one.turns) // 2)
            assert one.goal is not None and one.goal.domains


def test_2_2_is_read_as_2_1_is(layouts):
    """Real dialogues of 2.1, rewritten into the layout of 2.2: the same goals, texts, acts and states."""
    for split in ("validation", "test"):
        old = list(load_dialogues(split, layouts, "2.1-convlab2"))
        new = list(load_dialogues(split, layouts, "2.2"))
        assert [one.id for one in new] == [one.id for one in old] and len(new) == 60
        for one, other in zip(new, old, strict=True):
            assert (one.goal, one.split) == (other.goal, other.split)
            for turn, same in zip(one.turns, other.turns, strict=True):
                assert (turn.role, turn.text, turn.acts) == (same.role, same.text, same.acts)
                assert dict(turn.state) == dict(same.state)
                assert set(turn.domains) <= set(DOMAINS)


def test_the_official_2_1_has_its_splits_in_lists(layouts):
    for split in ("validation", "test"):
        assert list(load_dialogues(split, layouts, "2.1")) == list(
            load_dialogues(split, layouts, "2.1-convlab2")
        )
    assert [one.id for one in load_dialogues("train", layouts, "2.1")] == ["OWN0"]


def test_the_newest_release_is_read_first(layouts):
    first = next(load_dialogues("test", layouts))
    assert first == next(load_dialogues("test", layouts, "2.2"))
    shutil.rmtree(layouts / "multiwoz" / "MultiWOZ_2.2" / "test")
    assert next(load_dialogues("test", layouts)) == next(load_dialogues("test", layouts, "2.1-convlab2"))


def test_2_2_without_2_1_has_no_goals(tmp_path, own):
    write_2_2(tmp_path, "test", {"OWN1": own})
    (dialogue,) = load_dialogues("test", tmp_path)
    assert dialogue.goal is None
    assert [turn.domains for turn in dialogue.turns] == [("hotel",)] * 4
    with pytest.raises(
        DialogGymError, match=r"2\.1 with the goals .* get it with: dialog-gym data get multiwoz"
    ):
        load_goals("test", tmp_path)


def test_turns_without_annotation_and_lists_of_values(tmp_path, own, convlab):
    own["log"][0]["dialog_act"] = "No Annotation"
    del own["log"][2]["dialog_act"]
    own["log"][1]["metadata"]["hotel"]["semi"]["type"] = ["hotel", "guesthouse"]
    convlab(tmp_path, "val", {"OWN1": own})
    (dialogue,) = load_dialogues("validation", tmp_path)
    assert [bool(turn.acts) for turn in dialogue.turns] == [False, True, False, True]
    assert dialogue.turns[0].state["hotel-type"] == ("hotel", "guesthouse")


def test_the_schema_of_2_2_is_our_ontology(data, tmp_path):
    schema = load_schema(data)
    assert set(schema) == {*DOMAINS, "bus"}
    for domain in DOMAINS:
        assert set(schema[domain]) <= set(slots_of(domain))
        assert set(INFORMABLE[domain]) | set(BOOKABLE.get(domain, ())) <= set(schema[domain])
    for slot, values in (("area", AREAS), ("pricerange", PRICES), ("type", HOTEL_TYPES), ("bookday", DAYS)):
        assert sorted(schema["hotel"][slot]) == sorted(values)
    assert sorted(schema["attraction"]["type"]) == sorted(ATTRACTION_TYPES)
    assert sorted(schema["train"]["departure"]) == sorted(STATIONS)
    with pytest.raises(
        DialogGymError, match=r"schema\.json is not in .*; get it with: dialog-gym data get multiwoz"
    ):
        load_schema(tmp_path)


def test_a_dialogue_of_our_own(tmp_path, own, convlab):
    convlab(tmp_path, "val", {"OWN1": own})
    (dialogue,) = load_dialogues("validation", tmp_path)
    first, reply, second, last = dialogue.turns
    assert first.text == "A guest house in the north , please ."
    assert first.state == {"hotel-area": ("north",), "hotel-type": ("guesthouse", "hotel")}
    assert second.state == {
        "hotel-area": ("north",), "hotel-type": ("guesthouse",), "hotel-bookpeople": ("2",),
        "hotel-bookday": ("friday",),
    }  # fmt: skip
    assert reply.state == last.state == {}
    assert [act.intent for act in reply.acts] == ["hotel_request", "hotel_request", "welcome"]
    assert [act.intent for act in last.acts] == ["hotel_book", "goodbye"]
    assert {turn.domains for turn in dialogue.turns} == {("hotel",)}


def failure(*arguments):
    with pytest.raises(DialogGymError) as error:
        list(load_dialogues(*arguments))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_data_that_is_not_there(tmp_path, layouts, monkeypatch):
    assert failure("test", tmp_path / "no") == (
        f"MultiWOZ (test) is not in {tmp_path / 'no' / 'multiwoz'}; get it with: dialog-gym data get multiwoz"
    )
    assert "MultiWOZ 2.2 (train) is not in" in failure("train", layouts, "2.2")
    assert failure("tst", layouts) == "unknown split 'tst'; did you mean 'test'?"
    assert failure("test", layouts, "2.3").startswith("unknown source '2.3'; did you mean '2.")
    monkeypatch.setenv("DIALOG_GYM_DATA", str(tmp_path / "elsewhere"))
    assert "elsewhere" in failure("test")


def test_a_download_that_is_not_finished_is_not_read(layouts):
    (layouts / "multiwoz" / "MultiWOZ_2.2" / "dev" / "dialogues_002.json").unlink()
    assert "MultiWOZ 2.2 (validation) is not in" in failure("validation", layouts, "2.2")


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b'[{"dialogue_id": "A.json"}]', b"\xff\xfe"])
def test_damaged_files(tmp_path, own, content):
    write_2_2(tmp_path, "test", {"OWN1": own})
    (tmp_path / "multiwoz" / "MultiWOZ_2.2" / "test" / "dialogues_001.json").write_bytes(content)
    assert "cannot be read" in failure("test", tmp_path)
    archive = tmp_path / "multiwoz" / "MultiWOZ_2.1.zip"
    archive.write_bytes(content)
    assert "cannot be read" in failure("test", tmp_path, "2.1")
