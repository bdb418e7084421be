import builtins
import itertools
import json
import math
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import pytest

from dialog_gym.benchmarks import report_board, report_dialogues
from dialog_gym.benchmarks.report import HEADLINE, Run, write_report
from dialog_gym.core import (
    DialogGymError,
    DialogueAct,
    EndReason,
    Goal,
    Result,
    Score,
    Task,
    Trajectory,
    Turn,
    UserProfile,
)
from dialog_gym.paired import Paired

pytest.importorskip("jinja2")
pytest.importorskip("plotly")

END_REASONS = get_args(EndReason)
ATTACK = (
    "<script>window.attacked = true</script></script><img src=x onerror='window.attacked = true'>"
    "<!-- & \u2028 é"
)
VALUES = {
    "oracle": {"conversion": 0.5, "tse": 0.9, "violation_rate": 0.0},
    "scripted": {"conversion": 0.3, "tse": 0.7, "violation_rate": 0.05},
    "ppo": {"conversion": 0.31, "tse": 0.72, "violation_rate": 0.1},
    "<b>tiny</b> lm": {"conversion": 0.1, "tse": math.nan, "violation_rate": 0.4},
}
BACKBONES = {"ppo": "net", "<b>tiny</b> lm": "lm"}
NAMES = {agent: f"{agent} ({BACKBONES[agent]})" if agent in BACKBONES else agent for agent in VALUES}


def dialogue(agent: str, index: int, ended_by: EndReason) -> Trajectory:
    converted, violated = ended_by == "accepted", index % 3 == 0
    scenario = "proactive_sale" if index % 2 else "customer_service"
    task = Task(
        id=f"task-{index:03}",
        domain="credit",
        scenario=scenario,
        split="test",
        level=3,
        profile=UserProfile(id=f"u{index}", attributes={"surname": "Ivanova", "income": 2800, "limit": None}),
        goal=Goal(need="home", constraints={"amount": 5000}, requests=("rate",), persona={"trust": 0.55}),
    )
    turns = (
        Turn(role="user", text=ATTACK if index == 0 else "Hi there", acts=(DialogueAct(intent="greet"),)),
        Turn(
            role="assistant",
            text=ATTACK,
            acts=(DialogueAct(intent="offer", slots={"product": "pay_later", "amount": 5000}),),
            thought=ATTACK,
        ),
        Turn(role="user", text="Hm."),
        Turn(role="assistant", text="Shall I set it up?\nIt takes a minute."),
    )
    states = (
        {"trust": 0.5, "patience": 7.1, "known": ["amount"], "stages": {"identity": 1.0, "need": 0.5}},
        {"trust": 0.4, "patience": 6.0, "known": [], "stages": {"identity": 1.0, "need": 1.0}},
    )
    return Trajectory(
        task=task,
        agent=agent,
        seed=index,
        turns=turns,
        rewards=({"progress": 0.25, "naturalness": math.nan}, {"progress": float(converted)}),
        costs=({}, {"pressure": 1.0} if violated else {}),
        ended_by=ended_by,
        outcome={"converted": converted, "success": converted, "mis_sold": False, "violations": ""},
        states=states,
    )


def score(value: float) -> Score:
    return Score(value=value, low=value - 0.04, high=value + 0.04, n=0 if math.isnan(value) else 40)


def result(agent: str, **changes: Any) -> Result:
    fields: dict[str, Any] = {
        "agent": agent,
        "suite": "credit-v1",
        "suite_version": 2,
        "simulator": "agenda",
        "backbone": BACKBONES.get(agent),
        "seed": 7,
        "episodes": 40,
        "scores": {name: score(value) for name, value in VALUES[agent].items()},
        "higher_is_better": {"conversion": True, "tse": True, "violation_rate": False},
        "reference": agent == "oracle",
        "versions": {"numpy": "2.4.6", "dialog-gym": "0.2" if agent == "ppo" else "0.1"},
    }
    return Result(**fields | changes)


def paired(difference: float) -> Paired:
    low, high = difference - 0.05, difference + 0.05
    blank = {"relative": math.nan, "relative_low": math.nan, "relative_high": math.nan}
    return Paired(difference=difference, low=low, high=high, n=40, p_superior=0.9, **blank)


def example_runs() -> list[Run]:
    reasons = [*END_REASONS, *["user_hung_up"] * 20, *["accepted"] * 10]
    return [Run(result(a), [dialogue(a, i, reason) for i, reason in enumerate(reasons)]) for a in VALUES]


def example_pairs() -> dict[str, dict[tuple[str, str], Paired]]:
    return {
        metric: {
            (NAMES[a], NAMES[b]): paired(VALUES[a][metric] - VALUES[b][metric])
            for a, b in itertools.combinations(VALUES, 2)
        }
        for metric in VALUES["oracle"]
    }


def example_learning() -> dict[str, Any]:
    x, mean = [0.0, 500.0, 1000.0], [0.1, 0.2, 0.3]
    curve = {
        "name": "ppo (net)",
        "backbone": "net",
        "x": x,
        "mean": mean,
        "low": [0.0, 0.1, 0.2],
        "high": [0.2, 0.3, 0.4],
    }
    run = {
        "name": "ppo (net)", "seed": 0, "env_steps": 1000, "seconds": 2.5, "memory_mib": None,
        "steps_per_second": 400.0, "score": 0.31, "score_name": "conversion", "options": "clip_low=0.2",
    }  # fmt: skip
    other = {**curve, "name": ATTACK, "backbone": "lm"}
    curves = {"conversion": [curve, other], "reward": [curve]}
    return {
        "metrics": list(curves),
        "curves": curves,
        "runs": [run, {**run, "name": ATTACK, "options": ATTACK}],
    }


def write_example(path: Path, **changes: Any) -> int:
    """Also used by test_report_browser.py."""
    options: dict[str, Any] = {"title": "A <board>", "suite": "credit-v1", "pairs": example_pairs()}
    options["learning"] = example_learning()
    return write_report(path, example_runs(), **options | {"dialogues_per_agent": 12} | changes)


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.words.append(data)

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    path = tmp_path_factory.mktemp("report") / "new" / "report.html"
    size = write_example(path, notes=["<i>note</i>"])
    assert size == path.stat().st_size
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    return Page(path.read_text(encoding="utf-8"))


def test_what_agents_wrote_stays_inside_the_data(page: Page) -> None:
    assert [tag for tag, _ in page.tags].count("script") == 3
    assert not any(tag in ("img", "i", "b") for tag, _ in page.tags)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "<" not in page.scripts[0]
    turn = page.data["dialogues"][0]["items"][0]["turns"][1]
    assert turn["text"] == turn["thought"] == ATTACK


def test_the_header_states_what_was_run(page: Page) -> None:
    words = " ".join(" ".join(page.words).split())
    for fact in (
        "A <board>",
        "credit-v1",
        "version 2",
        "agenda",
        "3 agents",
        "1 reference",
        "2.4.6",
    ):
        assert fact in words
    assert "<i>note</i>" in words
    assert "dialog-gym evaluate --suite credit-v1 --seed 7 --agent NAME" in words
    assert "0.1, 0.2" in words and "differs between agents" in words


def test_no_request_leaves_the_page(page: Page) -> None:
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:")), (tag, target)
    policy = next(
        a["content"] or "" for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src" not in policy and "unsafe-eval" not in policy


def test_our_own_code_makes_no_request_and_builds_no_html() -> None:
    folder = Path(sys.modules["dialog_gym.benchmarks.report"].__file__ or "").parent / "templates"
    files = sorted(file for file in folder.iterdir() if file.suffix != ".py" and file.is_file())
    assert {file.suffix for file in files} == {".js", ".css", ".j2"}
    banned = (
        r"https?:|//cdn|\bfetch\(|XMLHttpRequest|WebSocket|\bimport\b|@import|url\(|innerHTML|outerHTML|"
        r"insertAdjacentHTML|document\.write|\beval\(|new Function|createContextualFragment|DOMParser"
    )
    for file in files:
        assert not re.findall(banned, file.read_text(encoding="utf-8")), file.name


def test_ranks_show_ties_and_leave_references_out(page: Page) -> None:
    data = page.data
    names = [agent["name"] for agent in data["agents"]]
    ranks = {names[int(i)]: tuple(r) for i, r in data["ranks"]["all"]["conversion"].items()}
    tiny = NAMES["<b>tiny</b> lm"]
    assert ranks == {"ppo (net)": (1, True), "scripted": (1, True), tiny: (3, False)}
    lowest_first = {names[int(i)]: r[0] for i, r in data["ranks"]["all"]["violation_rate"].items()}
    assert lowest_first["scripted"] == 1 and lowest_first[tiny] == 3
    assert names.index(tiny) not in map(int, data["ranks"]["all"]["tse"])  # no value, no rank


def test_each_backbone_is_ranked_by_itself(page: Page) -> None:
    data = page.data
    assert data["scopes"] == ["all", "lm", "net", "none"]
    assert {scope: len(data["ranks"][scope]["conversion"]) for scope in ("lm", "net", "none")} == {
        "lm": 1,
        "net": 1,
        "none": 1,
    }


def test_numbers_reach_the_page(page: Page) -> None:
    data = page.data
    tiny = data["agents"][3]
    assert tiny["scores"]["conversion"] == [0.1, 0.06, 0.14, 40]
    assert tiny["scores"]["tse"] == [None, None, None, 0]
    assert data["pairs"]["conversion"][0][:6] == [0, 1, 0.2, 0.15, 0.25, 40]
    assert data["headline"] == [name for name in HEADLINE if name in VALUES["ppo"]]
    assert data["pareto"] == ["violation_rate", "conversion"]
    conversion = data["metrics"][0]
    assert conversion["explanation"].endswith(".") and conversion["higher"] is True
    assert data["dialogues"][0]["items"][0]["turns"][1]["rewards"] == {"progress": 0.25, "naturalness": None}


def test_the_sample_holds_every_way_of_ending(page: Page) -> None:
    for found in page.data["dialogues"]:
        assert len(found["items"]) == 12
        assert {item["ended_by"] for item in found["items"]} == set(END_REASONS)
        assert found["total"] == 40 and found["ended_by"]["user_hung_up"] == 21


def test_a_turn_carries_what_happened_in_it(page: Page) -> None:
    item = page.data["dialogues"][1]["items"][0]
    assert item["violations"] == ["pressure"] and item["results"] == ["success", "converted"]
    roles = [turn["role"] for turn in item["turns"]]
    assert roles == ["user", "assistant", "user", "assistant"]
    assert "state" not in item["turns"][0]
    assert item["turns"][1]["state"]["trust"] == 0.5 and item["turns"][3]["state"]["trust"] == 0.4
    assert item["turns"][1]["acts"] == ["offer(product=pay_later, amount=5000)"]
    assert item["turns"][3]["costs"] == {"pressure": 1.0}
    assert item["goal"]["constraints"] == {"amount": 5000}


@pytest.mark.parametrize("size", [0, 1, 5, 14, 40, 1000])
def test_sample_size_and_balance(size: int) -> None:
    reasons: list[EndReason] = ["accepted"] * 30 + ["declined"] * 8 + ["max_turns"] * 2
    trajectories = [dialogue("a", i, reason) for i, reason in enumerate(reasons)]
    found = report_dialogues.sample(trajectories, size)
    assert len(found) == len(set(found)) == min(size, 40)
    if size == 14:
        ends = [trajectories[i].ended_by for i in found]
        assert [ends.count("max_turns"), ends.count("declined"), ends.count("accepted")] == [2, 6, 6]
    order = list(reversed(range(40)))
    backwards = report_dialogues.sample([trajectories[i] for i in order], size)
    assert {order[i] for i in backwards} == set(found)


def test_a_flooding_agent_is_cut() -> None:
    long = dialogue("a", 1, "accepted")
    long = long.model_copy(update={"turns": (Turn(role="assistant", text="x" * 100_000),)})
    item = report_dialogues.dialogues([long], 1)["items"][0]
    assert len(item["turns"][0]["text"]) < 4100 and "96,000 more characters" in item["turns"][0]["text"]


def test_detectable_difference_comes_from_the_widest_pair() -> None:
    results = [result(name) for name in VALUES]
    found = report_board.detectable_difference("conversion", results, example_pairs())
    assert found == pytest.approx(0.1 / (2 * 1.95996) * (1.95996 + 0.84162), rel=1e-4)
    alone = report_board.detectable_difference("conversion", results, {})
    assert alone == pytest.approx(math.sqrt(2) * 0.08 / 0.1 * found, rel=1e-6)
    assert math.isnan(report_board.detectable_difference("unknown", results, {}))


def test_a_board_of_one_agent_without_dialogues_or_pairs(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, [Run(result("ppo"))], title="One", suite="credit-v1", reproduce="make board")
    text = path.read_text(encoding="utf-8")
    data = Page(text).data
    assert data["scopes"] == ["all"] and data["ranks"]["all"]["conversion"] == {"0": [1, False]}
    assert data["dialogues"] == [{"total": 0, "ended_by": {}, "items": []}]
    assert "make board" in text


def test_explanations_and_detectable_differences_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_example(path, explanations={"tse": "my own line"}, detectable={"tse": 0.125}, headline=("tse",))
    data = Page(path.read_text(encoding="utf-8")).data
    tse = data["metrics"][1]
    assert tse["explanation"] == "My own line." and tse["detectable"] == 0.125
    assert data["headline"] == ["tse"]


def test_metrics_that_nobody_is_judged_on_are_left_out(tmp_path: Path) -> None:
    path, lm = tmp_path / "report.html", "<b>tiny</b> lm"
    write_report(path, [Run(result(lm))], title="x", suite="credit-v1", headline=("tse", "conversion"))
    data = Page(path.read_text(encoding="utf-8")).data
    assert data["headline"] == ["conversion"] and "tse" not in [metric["name"] for metric in data["metrics"]]
    with pytest.raises(DialogGymError, match="nothing to report"):
        write_report(path, [Run(result(lm, scores={"tse": score(math.nan)}))], title="x", suite="credit-v1")


@pytest.mark.parametrize(
    ("runs", "options", "line"),
    [
        ([], {}, "at least one run"),
        ([Run(result("ppo")), Run(result("ppo"))], {}, "two results are named 'ppo (net)'"),
        ([Run(result("ppo")), Run(result("oracle", suite_version=3))], {}, "one suite version, got 2, 3"),
        ([Run(result("ppo")), Run(result("oracle", simulator="lm"))], {}, "one simulator, got agenda, lm"),
        ([Run(result("ppo"))], {"suite": "other"}, "'other', but the results are of 'credit-v1'"),
        (
            [Run(result("ppo"))],
            {"headline": ["conversions"]},
            "unknown headline metric 'conversions'",
        ),
        ([Run(result("ppo"))], {"pairs": {"conv": {}}}, "unknown metric in pairs"),
        (
            [Run(result("ppo"))],
            {"pairs": {"tse": {("ppo (net)", "x"): paired(0)}}},
            "unknown agent in pairs 'x'",
        ),
        ([Run(result("ppo"))], {"dialogues_per_agent": -1}, "at least 0"),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, runs: list[Run], options: dict[str, Any], line: str) -> None:
    with pytest.raises(DialogGymError, match=re.escape(line)) as error:
        write_report(tmp_path / "report.html", runs, **{"title": "x", "suite": "credit-v1"} | options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(DialogGymError, match="is a folder"):
        write_example(tmp_path)


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_plotly(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("plotly"):
            raise ImportError("No module named 'plotly'", name="plotly")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_plotly)
    with pytest.raises(DialogGymError, match=re.escape('plotly: pip install "dialog-gym[report]"')):
        write_example(tmp_path / "report.html")


def test_a_failed_write_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_example(path)
    assert path.read_text(encoding="utf-8") == "old" and len(list(tmp_path.iterdir())) == 1
