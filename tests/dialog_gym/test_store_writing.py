import errno
import os
from pathlib import Path
from typing import Any

import pytest

from dialog_gym import store
from dialog_gym.core import DialogGymError, Goal, Task, Trajectory, Turn, UserProfile
from dialog_gym.store import StoreHeader, TrajectoryWriter, read_store, read_trajectories, write_store

HEADER = StoreHeader(
    suite="core", suite_version=1, agent="scripted", simulator="user", config={"b": 1, "a": [2]}
)


def episode(task: str = "t0", trial: int = 0, text: str = "Hello.", **fields: Any) -> Trajectory:
    profile = UserProfile(id="u1", attributes={})
    return Trajectory(
        task=Task(
            id=task, domain="credit", scenario="proactive_sale", split="test", level=3,
            profile=profile, goal=Goal(need="loan"), guidelines=fields.pop("guidelines", "Never promise."),
        ),
        agent="scripted", seed=7, trial=trial, turns=(Turn(role="assistant", text=text),),
        rewards=(), costs=(), ended_by="declined", **fields,
    )  # fmt: skip


def write(path: Path, *episodes: Trajectory) -> bytes:
    with TrajectoryWriter(path, HEADER) as writer:
        for trajectory in episodes:
            writer.write(trajectory)
    return path.read_bytes()


class TestResume:
    def test_cut_at_every_byte_of_the_last_line(self, tmp_path: Path) -> None:
        path = tmp_path / "x.jsonl"
        whole = write(path, episode("a"), episode("b"))
        last = whole.rindex(b"\n", 0, -1) + 1
        for length in range(last, len(whole)):
            path.write_bytes(whole[:length])
            found, unended = read_store(path), length == len(whole) - 1
            assert found.truncated == (last < length and not unended)
            assert len(found.trajectories) == (2 if unended else 1)
            with TrajectoryWriter(path, HEADER, resume=True) as writer:
                assert writer.finished == ({("a", 0), ("b", 0)} if unended else {("a", 0)})
                assert (writer.recovered is not None) == found.truncated
                if not unended:
                    writer.write(episode("b"))
            assert path.read_bytes() == whole

    def test_cut_is_told(self, tmp_path: Path) -> None:
        path = tmp_path / "x.jsonl"
        path.write_bytes(write(path, episode("a"), episode("b"))[:-9])
        with pytest.warns(UserWarning, match=r"x\.jsonl: the last line is cut off"):
            assert [t.task.id for t in read_trajectories(path)] == ["a"]
        with TrajectoryWriter(path, HEADER, resume=True) as writer:
            assert "cut-off last line" in str(writer.recovered)

    def test_cut_inside_guidelines_or_header(self, tmp_path: Path) -> None:
        path = tmp_path / "x.jsonl"
        whole = write(path, episode("a"))
        first = whole.index(b"\n")
        for length in (0, 1, first - 1, first, first + 1, first + 30):
            path.write_bytes(whole[:length])
            with TrajectoryWriter(path, HEADER, resume=True) as writer:
                assert (writer.recovered is None) == (length in (0, first + 1))
                writer.write(episode("a"))
            assert path.read_bytes() == whole

    def test_resuming_nothing_starts(self, tmp_path: Path) -> None:
        with TrajectoryWriter(tmp_path / "x.jsonl", HEADER, resume=True) as writer:
            assert (writer.finished, writer.recovered) == (set(), None)
        assert read_store(tmp_path / "x.jsonl").trajectories == []

    @pytest.mark.parametrize(
        ("change", "name"),
        [
            ({"agent": "more"}, "agent"),
            ({"seed": 3}, "seed"),
            ({"config": {"b": 2, "a": [2]}}, r"config \(b\)"),
        ],
    )
    def test_other_header(self, tmp_path: Path, change: dict[str, Any], name: str) -> None:
        path = tmp_path / "x.jsonl"
        before = write(path, episode())
        other = StoreHeader(**{**HEADER.model_dump(exclude={"config_hash"}), **change})
        with pytest.raises(DialogGymError, match=f"cannot be resumed: {name} is .* in the file and .* now"):
            TrajectoryWriter(path, other, resume=True)
        assert path.read_bytes() == before

    def test_damage_in_the_middle_is_not_repaired(self, tmp_path: Path) -> None:
        path = tmp_path / "x.jsonl"
        data = write(path, episode("a"), episode("b")).replace(b"Hello", b'He"lo')
        path.write_bytes(data)
        with pytest.raises(DialogGymError, match="line 3"):
            TrajectoryWriter(path, HEADER, resume=True)
        assert path.read_bytes() == data

    def test_an_existing_store_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "x.jsonl"
        before = write(path, episode())
        with pytest.raises(DialogGymError, match="already exists"):
            TrajectoryWriter(path, HEADER)
        assert path.read_bytes() == before
        TrajectoryWriter(path, HEADER, overwrite=True).close()
        assert read_store(path).trajectories == []


class FullDisk:
    """A raw file that takes ``room`` more bytes, a few at a time, then reports a full disk."""

    def __init__(self, file: Any, room: int, can_truncate: bool) -> None:
        self.file, self.room, self.can_truncate = file, room, can_truncate

    def write(self, data: memoryview) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = min(len(data), self.room, 100)
        self.room -= taken
        return int(self.file.write(data[:taken]))

    def truncate(self, size: int) -> None:
        if not self.can_truncate:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.file.truncate(size)

    def close(self) -> None:
        self.file.close()

    @property
    def closed(self) -> bool:
        return bool(self.file.closed)


@pytest.mark.parametrize("end", [".jsonl", ".jsonl.gz"])
@pytest.mark.parametrize("can_truncate", [True, False])
@pytest.mark.parametrize("room", [0, 1, 250])
def test_full_disk(tmp_path: Path, end: str, can_truncate: bool, room: int) -> None:
    path = tmp_path / f"x{end}"
    writer = TrajectoryWriter(path, HEADER)
    writer.write(episode("a"))
    size = path.stat().st_size
    writer._file = FullDisk(writer._file, room, can_truncate)  # type: ignore[assignment]
    with pytest.raises(DialogGymError, match=r"cannot write .*No space left") as error:
        writer.write(episode("b", text=os.urandom(400).hex()))
    assert "\n" not in str(error.value)
    assert writer.finished == {("a", 0)}
    with pytest.raises(DialogGymError, match="earlier error"):
        writer.write(episode("c"))
    writer.close()
    assert path.stat().st_size == size + (0 if can_truncate else room)
    found = read_store(path)
    assert [t.task.id for t in found.trajectories] == ["a"]
    if end == ".jsonl":
        with TrajectoryWriter(path, HEADER, resume=True) as again:
            again.write(episode("b"))
        assert [t.task.id for t in read_store(path).trajectories] == ["a", "b"]


def test_unwritable_folder(tmp_path: Path) -> None:
    for call in (TrajectoryWriter, lambda path, header: write_store(path, header, [])):
        with pytest.raises(DialogGymError, match=r"cannot write .*No such file"):
            call(tmp_path / "none" / "x.jsonl", HEADER)


@pytest.mark.parametrize("end", ["jsonl", "jsonl.gz"])
def test_sorting_hides_the_workers(tmp_path: Path, end: str) -> None:
    episodes = [episode(f"t{i % 4}", i // 4, guidelines=f"rule {i % 3}") for i in range(12)]
    one, two = tmp_path / f"one.{end}", tmp_path / f"two.{end}"
    write(one, *episodes)
    write(two, *episodes[5:], *reversed(episodes[:5]))
    assert one.read_bytes() != two.read_bytes()
    assert len(store.write_sorted(one).trajectories) == 12
    store.write_sorted(two)
    assert one.read_bytes() == two.read_bytes()
    assert [store.key_of(t) for t in read_store(one).trajectories] == sorted(map(store.key_of, episodes))
    assert sorted(tmp_path.iterdir()) == [one, two]


def test_failed_replacement_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    before = write(path, episode())
    with pytest.raises(DialogGymError, match="cannot be stored"):
        write_store(path, HEADER, [episode(), episode("bad", states=({"x": object()},))])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
