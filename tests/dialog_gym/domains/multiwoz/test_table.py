"""The corpus as a `datasets.Dataset`, cached as Arrow."""

import json
import os

import pytest

from dialog_gym.acts import parse_acts
from dialog_gym.core import DialogGymError
from dialog_gym.domains.multiwoz import table
from dialog_gym.domains.multiwoz.corpus import load_dialogues
from dialog_gym.domains.multiwoz.ontology import USER
from dialog_gym.domains.multiwoz.table import from_row, load_table, to_row

pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setattr(table, "cache_folder", lambda: folder)
    return folder


@pytest.fixture
def folder(tmp_path, own, convlab):
    convlab(tmp_path, "val", {"OWN1": own, "OWN2": own})
    return tmp_path


def arrows(cache):
    return sorted(path.name for path in (cache / "multiwoz").iterdir())


def test_rows_hold_the_dialogues(folder):
    dialogues = list(load_dialogues("validation", folder))
    rows = load_table("validation", folder)
    assert rows.column_names == ["dialogue_id", "split", "goal", "turns"]
    assert rows["dialogue_id"][:] == ["OWN1", "OWN2"]
    assert [from_row(row) for row in rows] == dialogues
    first = rows[0]["turns"][0]
    assert parse_acts(first["acts"], USER) == dialogues[0].turns[0].acts
    assert json.loads(first["state"])["hotel-area"] == ["north"]


def test_real_dialogues_survive_the_table(tmp_path, real, convlab):
    convlab(tmp_path, "val", real["val"])
    dialogues = list(load_dialogues("validation", tmp_path))
    assert [from_row(row) for row in load_table("validation", tmp_path)] == dialogues
    without = dialogues[0].model_copy(update={"goal": None})
    assert from_row(to_row(without)) == without


def test_it_is_made_once_and_again_when_the_data_change(folder, cache, own, convlab, monkeypatch):
    load_table("validation", folder)
    (first,) = arrows(cache)
    assert first.startswith("2.1-convlab2-validation-")
    with monkeypatch.context() as patched:
        patched.setattr(table, "load_dialogues", lambda *_: pytest.fail("read again"))
        assert load_table("validation", folder).num_rows == 2
    convlab(folder, "val", {"OWN3": own})
    os.utime(folder / "multiwoz" / "convlab2_multiwoz21" / "val.json.zip", ns=(1, 1))
    assert load_table("validation", folder)["dialogue_id"][:] == ["OWN3"]
    assert len(arrows(cache)) == 2


def test_nothing_half_made_is_left(folder, cache, monkeypatch):
    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pyarrow.ipc.RecordBatchStreamWriter.write_table", broken)
    with pytest.raises(KeyboardInterrupt):
        load_table("validation", folder)
    assert arrows(cache) == []


def test_mistakes_are_one_line(folder):
    with pytest.raises(
        DialogGymError, match=r"MultiWOZ \(test\) is not in .*; get it with: dialog-gym data get"
    ):
        load_table("test", folder)
    with pytest.raises(DialogGymError, match="unknown split 'dev'"):
        load_table("dev", folder)


def test_without_datasets(folder, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(table.importlib, "import_module", missing)
    with pytest.raises(DialogGymError, match=r"pip install 'dialog-gym\[data\]'"):
        load_table("validation", folder)
