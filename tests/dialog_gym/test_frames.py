import json
import math
import sys
from collections.abc import Callable
from typing import Any

import pytest

from dialog_gym.core import DialogGymError, DialogueAct, Goal, Task, Trajectory, Turn, UserProfile
from dialog_gym.frames import to_dataset, to_frame


def episode(
    task: str = "t0", trial: int = 0, guidelines: str = "Never promise.", **fields: Any
) -> Trajectory:
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


class TestTables:
    def test_episodes(self) -> None:
        frame = to_frame([episode("a"), episode("b", 1)])
        assert list(frame["task_id"]) == ["a", "b"]
        row = frame.iloc[1]
        assert (row["trial"], row["turns"], row["outcome.amount"], row["cost.mis_sale"]) == (1, 3, 12.5, 1.0)
        assert (row["reward.gain"], row["reward.rouge"]) == (0.75, 0.25)

    def test_turns(self) -> None:
        frame = to_frame([episode("a")], level="turn")
        assert list(frame["role"]) == ["assistant", "user", "assistant"]
        assert list(frame["intents"]) == ["greet", "", ""]
        assert [str(x) for x in frame["reward.gain"]] == ["0.5", "nan", "0.25"]

    def test_unknown_level(self) -> None:
        with pytest.raises(DialogGymError, match="'turn' or 'episode'"):
            to_frame([], level="token")  # type: ignore[arg-type]

    @pytest.mark.parametrize(("package", "call"), [("pandas", to_frame), ("datasets", to_dataset)])
    def test_missing_package(
        self, monkeypatch: pytest.MonkeyPatch, package: str, call: Callable[[list[Trajectory]], Any]
    ) -> None:
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(DialogGymError, match=package + r'.*pip install "dialog-gym\[data\]"'):
            call([])

    def test_dataset(self) -> None:
        pytest.importorskip("datasets")
        rows = to_dataset([episode("a"), episode("b", guidelines="", rewards=({"new": 1.0},))])
        assert [message["role"] for message in rows[0]["messages"]] == [
            "system",
            "assistant",
            "user",
            "assistant",
        ]
        assert rows[1]["messages"][0] == {"role": "assistant", "content": "Hello."}
        assert rows[0]["rewards"]["gain"] == [0.5, 0.25]
        assert rows[1]["rewards"]["new"] == [1.0]
        assert json.loads(rows[0]["outcome"]) == {"converted": False, "amount": 12.5}
