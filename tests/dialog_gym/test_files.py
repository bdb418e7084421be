"""Files are complete or not there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialog_gym.files import replacing, write_text


@given(text=st.text(st.characters(exclude_categories=("Cs",))))
def test_a_text_comes_back_byte_by_byte(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "text"
    write_text(path, text)
    assert path.read_bytes() == text.encode()


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "cells.npz"
    path.write_bytes(b"old")
    with replacing(path) as working:
        working.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert working.parent == tmp_path and working.suffix == ".npz" and working.name.startswith(".")
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_what_breaks_off_leaves_nothing(tmp_path, error):
    path = tmp_path / "report.html"
    path.write_text("old")

    def broken():
        with replacing(path) as working:
            working.write_text("half")
            raise error

    with pytest.raises(type(error)):
        broken()
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_encoded_leaves_the_old_file(tmp_path):
    path = tmp_path / "text"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud800")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_nothing_written_or_no_folder(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old"
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "nowhere" / "file", "text")
