import gzip
import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialog_gym import store
from dialog_gym.core import DialogGymError, DialogueAct, Goal, Task, Trajectory, Turn, UserProfile
from dialog_gym.store import StoreHeader, TrajectoryWriter, read_store, read_trajectories

HEADER = StoreHeader(
    suite="core", suite_version=1, agent="scripted", simulator="user", config={"b": 1, "a": [2]}
)
RULES = "Never promise.\nAlways disclose the rate é."


def episode(task: str = "t0", trial: int = 0, guidelines: str = RULES, **fields: Any) -> Trajectory:
    return Trajectory(
        task=Task(
            id=task,
            domain="credit",
            scenario="proactive_sale",
            split="test",
            level=3,
            profile=UserProfile(id="u1", attributes={"age": 30, "limit": 1.5, "surname": None}),
            goal=Goal(need="loan"),
            guidelines=guidelines,
        ),
        agent="scripted",
        seed=7,
        trial=trial,
        turns=fields.pop(
            "turns",
            (
                Turn(role="assistant", text="Hello.", acts=(DialogueAct(intent="greet"),), thought="open"),
                Turn(role="user", text="Hi\u2028\x00there"),
                Turn(role="assistant", text="Bye."),
            ),
        ),
        rewards=fields.pop("rewards", ({"rouge": math.nan, "gain": 0.5}, {"rouge": 0.25, "gain": 0.25})),
        costs=fields.pop("costs", ({"mis_sale": 0.0}, {"mis_sale": 1.0})),
        ended_by="declined",
        outcome={"converted": False, "amount": 12.5},
        **fields,
    )


def write(path: Path, *episodes: Trajectory, header: StoreHeader = HEADER) -> bytes:
    with TrajectoryWriter(path, header) as writer:
        for trajectory in episodes:
            writer.write(trajectory)
    return path.read_bytes()


def same(a: Trajectory, b: Trajectory) -> bool:
    return a.model_dump_json() == b.model_dump_json()  # NaN differs from itself


def fails(path: Path, *parts: str) -> None:
    """Both readers refuse with one line that holds every part."""
    for read in (read_store, lambda p: list(read_trajectories(p))):
        with pytest.raises(DialogGymError) as error:
            read(path)
        assert "\n" not in str(error.value)
        for part in (str(path), *parts):
            assert part in str(error.value)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
NUMBERS = st.dictionaries(st.text(max_size=5), st.floats(), max_size=3)
SLOTS = st.dictionaries(st.text(max_size=5), SCALARS, max_size=3)
JSON = st.recursive(
    SCALARS, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=3), x, max_size=3)
)
ACTS = st.lists(st.builds(DialogueAct, intent=st.text(max_size=5), slots=SLOTS), max_size=2).map(tuple)
TURNS = st.builds(
    Turn,
    role=st.sampled_from(["user", "assistant"]),
    text=st.text(),
    acts=ACTS,
    thought=st.none() | st.text(),
)
TEXTS = st.text() | st.sampled_from(["@", "@0123456789abcdef", "same", RULES])
EPISODES = st.builds(
    episode,
    st.text(max_size=5),
    st.integers(0, 9),
    TEXTS,
    turns=st.lists(TURNS, max_size=3).map(tuple),
    rewards=st.lists(NUMBERS, max_size=2).map(tuple),
    costs=st.lists(NUMBERS, max_size=2).map(tuple),
    states=st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=2), max_size=2).map(tuple),
    versions=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EPISODES, max_size=3), st.sampled_from([".jsonl", ".jsonl.gz"]))
def test_round_trip_is_exact(
    tmp_path_factory: pytest.TempPathFactory, episodes: list[Trajectory], end: str
) -> None:
    path = tmp_path_factory.mktemp("round") / f"x{end}"
    write(path, *episodes)
    found = read_store(path)
    assert (found.header, found.truncated) == (HEADER, False)
    assert len(found.trajectories) == len(episodes)
    assert all(map(same, found.trajectories, episodes))


class TestFormat:
    def test_guidelines_are_written_once(self, tmp_path: Path) -> None:
        data = write(tmp_path / "x.jsonl", episode("t0"), episode("t1"), episode("t2", guidelines=""))
        lines = [json.loads(line) for line in data.splitlines()]
        digest = hashlib.sha256(RULES.encode()).hexdigest()[:16]
        assert lines[1] == {"guidelines": {digest: RULES}}
        assert [line["task"]["guidelines"] for line in lines[2:]] == [f"@{digest}", f"@{digest}", ""]
        assert data.count(b"Never promise") == 1

    def test_nothing_but_the_run_is_stored(self, tmp_path: Path) -> None:
        for end in ("jsonl", "jsonl.gz"):
            assert write(tmp_path / f"a.{end}", episode()) == write(tmp_path / f"b.{end}", episode())

    def test_hash_seed_does_not_matter(self, tmp_path: Path) -> None:
        code = (
            "import sys; from tests_store import HEADER, episode, write; from pathlib import Path;"
            "write(Path(sys.argv[1]), episode('a'), episode('b', guidelines='x'))"
        )
        (tmp_path / "tests_store.py").write_bytes(Path(__file__).read_bytes())
        found = []
        for seed in ("1", "2"):
            path = tmp_path / f"{seed}.jsonl"
            places = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
            environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": places}
            subprocess.run([sys.executable, "-c", code, str(path)], check=True, env=environment)
            found.append(path.read_bytes())
        assert found[0] == found[1] != b""

    def test_config_hash(self) -> None:
        assert store.config_hash({"b": 1, "a": [2]}) == store.config_hash({"a": (2,), "b": 1})
        expected = hashlib.sha256(b'{"a":[2],"b":1}').hexdigest()[:16]
        assert HEADER.config_hash == store.config_hash({"b": 1, "a": [2]}) == expected
        for bad in ({"a": {1, 2}}, {"a": "\ud800"}, {"a": 1, 2: 3}):
            with pytest.raises(DialogGymError, match="plain JSON"):
                store.config_hash(bad)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="not that of config"):
            StoreHeader(**{**HEADER.model_dump(), "config_hash": "0"})

    def test_unstorable_state(self, tmp_path: Path) -> None:
        with TrajectoryWriter(tmp_path / "x.jsonl", HEADER) as writer:
            with pytest.raises(DialogGymError, match="'bad' cannot be stored as JSON"):
                writer.write(episode("bad", states=({"x": object()},)))
            writer.write(episode())
        assert len(read_store(tmp_path / "x.jsonl").trajectories) == 1


class TestDamage:
    def test_missing_and_empty(self, tmp_path: Path) -> None:
        fails(tmp_path / "none.jsonl", "no such file")
        (tmp_path / "empty.jsonl").write_bytes(b"")
        fails(tmp_path / "empty.jsonl", "empty")
        fails(tmp_path, "cannot read")

    @pytest.mark.parametrize(
        "data", [b"hello\n", b"[]\n", b'{"a": 1}\n', b"\xff\xfe\n", b"\n", b'{"format": 1}']
    )
    def test_not_a_store(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "x.jsonl").write_bytes(data)
        fails(tmp_path / "x.jsonl", "line 1", "not a trajectory store")

    def test_other_version(self, tmp_path: Path) -> None:
        data = write(tmp_path / "x.jsonl").replace(b'"format_version":1', b'"format_version":9')
        (tmp_path / "x.jsonl").write_bytes(data)
        fails(tmp_path / "x.jsonl", "version 9", "this is version 1")

    @pytest.mark.parametrize(
        ("old", "new", "line", "part"),
        [
            (b'"suite":', b'"suit":', 1, "suit"),
            (b'"a":[2]', b'"a":[3]', 1, "not that of config"),
            (b'"trial":1', b'"trial":}', 4, "Invalid JSON"),
            (b'"trial":1', b'"tryal":1', 4, "tryal"),
            (b'"trial":1', b'"trial":"x"', 4, "trial"),
            (b"Hello", b"H\xffllo", 3, "nvalid"),
            (b"Never", b"Ever", 2, "altered"),
            (b'"guidelines":"@', b'"guidelines":"@0', 3, "not defined above"),
            (b'{"guidelines":{', b'{"guidelines":{},"more":{', 2, "more"),
        ],
    )
    def test_damage_names_the_line(
        self, tmp_path: Path, old: bytes, new: bytes, line: int, part: str
    ) -> None:
        data = write(tmp_path / "x.jsonl", episode(trial=0), episode(trial=1), episode(trial=2))
        assert old in data
        (tmp_path / "x.jsonl").write_bytes(data.replace(old, new))
        fails(tmp_path / "x.jsonl", f"line {line}", part)

    def test_compressed(self, tmp_path: Path) -> None:
        path = tmp_path / "x.jsonl.gz"
        path.write_bytes(b"plain text\n")
        fails(path, "not valid gzip")
        path.unlink()
        data = write(path, episode("a"), episode("b"))
        assert gzip.decompress(data).count(b"\n") == 4
        counts = []
        for length in range(len(data) - 60, len(data)):
            path.write_bytes(data[:length])
            found = read_store(path)
            assert found.truncated
            counts.append(len(found.trajectories))
        assert counts == sorted(counts) and set(counts) == {0, 1, 2}
        with pytest.raises(DialogGymError, match="cannot be resumed"):
            TrajectoryWriter(path, HEADER, resume=True)
