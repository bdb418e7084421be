"""Getting MultiWOZ, by download from a server of our own or from a folder; `dialog-gym data get`."""

import gzip
import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

import pytest

from dialog_gym import cli, downloads
from dialog_gym.core import DialogGymError
from dialog_gym.domains.multiwoz import releases


def blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


CONTENT = {
    "data/MultiWOZ_2.2/schema.json": b"[]",
    "data/MultiWOZ_2.1.zip": b"PK" * 100_000,
    "db/train_db.json": b'[{"day": "monday"}]' * 50,
}
PLACES = {path: path.removeprefix("data/") for path in CONTENT}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def small_release(monkeypatch, tmp_path):
    """A release of three small files."""
    files = {PLACES[path]: (path, blob(content)) for path, content in CONTENT.items()}
    monkeypatch.setattr(releases, "FILES", MappingProxyType(files))
    monkeypatch.setenv("DIALOG_GYM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(downloads, "PAUSE", 0.0)


@pytest.fixture
def clone(tmp_path):
    """A clone of the release."""
    for path, content in CONTENT.items():
        (tmp_path / "clone" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / path).write_bytes(content)
    return tmp_path / "clone"


@pytest.fixture
def server(clone, monkeypatch):
    shop = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(clone)))
    thread = threading.Thread(target=shop.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(releases, "ADDRESS", f"http://127.0.0.1:{shop.server_port}")
    yield shop
    shop.shutdown()
    thread.join()
    shop.server_close()


def nothing(done, total, label=""):
    pass


def held(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


WHOLE = {PLACES[path]: content for path, content in CONTENT.items()}


def test_the_release_is_downloaded_once(server, tmp_path):
    folder = tmp_path / "data" / "multiwoz"
    assert len(releases.download(folder, nothing)) == 3
    assert held(folder) == WHOLE and releases.absent(folder) == []
    assert releases.download(folder, nothing) == []
    (folder / "db" / "train_db.json").write_bytes(b"damaged")
    assert [path.name for path in releases.download(folder, nothing)] == ["train_db.json"]
    assert held(folder) == WHOLE


def test_the_command_downloads(server, tmp_path, capsys):
    assert cli.run(["data", "get", "multiwoz"]) == 0
    out, _ = capsys.readouterr()
    assert out == f"multiwoz: 3 files downloaded, now in {tmp_path / 'data' / 'multiwoz'}\n"
    assert held(tmp_path / "data" / "multiwoz") == WHOLE
    assert cli.run(["data", "get", "multiwoz", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"path": str(tmp_path / "data" / "multiwoz"), "files": [], "missing": []}


def test_a_corrupted_download_is_one_line(server, clone, tmp_path, capsys):
    (clone / "db" / "train_db.json").write_bytes(b"something else")
    assert cli.run(["data", "get", "multiwoz"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "/db/train_db.json is not the expected file" in err
    assert held(tmp_path / "data" / "multiwoz").keys() == {"MultiWOZ_2.2/schema.json", "MultiWOZ_2.1.zip"}


def test_a_release_that_has_gone_is_one_line(server, clone, capsys):
    (clone / "data" / "MultiWOZ_2.1.zip").unlink()
    assert cli.run(["data", "get", "multiwoz"]) == 2
    err = capsys.readouterr().err
    assert "HTTP 404" in err and "a copy can be taken with: dialog-gym data get multiwoz --from DIR" in err
    assert err.count("\n") == 1


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(releases, "fetch", stopped)
    assert cli.run(["data", "get", "multiwoz"]) == 130
    assert "stopped; the same command goes on where it was" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["clone", "ours", "above"])
def test_files_are_taken_from_a_folder(clone, tmp_path, capsys, place):
    source = clone
    if place != "clone":
        source = tmp_path / "copy"
        target = source if place == "ours" else source / "multiwoz"
        for name, content in WHOLE.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(content)
    assert cli.run(["data", "get", "multiwoz", "--from", str(source)]) == 0
    assert capsys.readouterr().out.startswith("multiwoz: 3 files taken, now in ")
    assert held(tmp_path / "data" / "multiwoz") == WHOLE


def test_packed_and_further_files_are_taken_too(clone, tmp_path, capsys):
    train = clone / "db" / "train_db.json"
    train.with_name("train_db.json.gz").write_bytes(gzip.compress(train.read_bytes()))
    train.unlink()
    (clone / "data" / "MultiWOZ_2.1.zip").unlink()
    (clone / "convlab2_multiwoz21").mkdir()
    (clone / "convlab2_multiwoz21" / "train.json.zip").write_bytes(b"anything")
    assert (
        cli.run(["data", "get", "multiwoz", "--from", str(clone), "--data-dir", str(tmp_path / "other")]) == 0
    )
    assert "1 files of the release are missing (MultiWOZ_2.1.zip, ...)" in capsys.readouterr().out
    assert held(tmp_path / "other" / "multiwoz").keys() == {
        "MultiWOZ_2.2/schema.json", "db/train_db.json", "convlab2_multiwoz21/train.json.zip",
    }  # fmt: skip


def test_a_wrong_local_file_is_refused(clone, tmp_path):
    (clone / "data" / "MultiWOZ_2.1.zip").write_bytes(b"other")
    with pytest.raises(DialogGymError, match=r"MultiWOZ_2.1.zip is not the file of the release"):
        releases.take(clone, tmp_path / "new", nothing)
    assert held(tmp_path / "new").keys() == {"MultiWOZ_2.2/schema.json"}


def test_where_it_is(tmp_path, monkeypatch, capsys):
    assert cli.run(["data", "path"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'data'} (there is no such folder)\n"
    monkeypatch.delenv("DIALOG_GYM_DATA")
    assert cli.run(["data", "path"]) == 0
    assert "dialog-gym" in capsys.readouterr().out


def test_the_pinned_release_is_what_the_data_folder_has(data, monkeypatch):
    """The real blob ids, on the real files that are there: databases and schema."""
    monkeypatch.undo()
    files, folder = releases.FILES, data / "multiwoz"
    assert len(files) == 31 and all(len(known) == 40 for _, known in files.values())
    there = [name for name in files if (folder / name).is_file()]
    assert "MultiWOZ_2.2/schema.json" in there
    for name in there:
        assert downloads.fits(folder / name, files[name][1]), name
    for name, known in releases.LOCAL.items():
        assert not (folder / name).is_file() or downloads.fits(folder / name, known), name
