"""The comparison with TRL: both do the same work, and work that differs is an error."""

import json

import pytest

torch = pytest.importorskip("torch", reason="an optional dependency is missing")
pytest.importorskip("transformers", reason="an optional dependency is missing")
pytest.importorskip("trl", reason="TRL is not installed: pip install 'dialog-gym[bench]'")
pytest.importorskip("datasets", reason="an optional dependency is missing")

from dialog_gym.benchmarks import trl_speed  # noqa: E402
from dialog_gym.benchmarks.trl_speed import OURS, TRL, Setting, Steps, Work  # noqa: E402
from dialog_gym.core import DialogGymError  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("as_before"),
    pytest.mark.filterwarnings("ignore"),  # TRL's own
]
TINY = ["--hidden", "64", "--layers", "1", "--prompts", "2", "--tokens", "3", "--rounds", "1", "--json"]


@pytest.fixture
def as_before():
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)


@pytest.mark.parametrize("more", [[], ["--kl", "0.04", "--fp32"]])
def test_both_sample_and_update_alike(more, capsys, monkeypatch):
    seen = []

    def measure(*arguments):
        seen.append(found := real(*arguments))
        return found

    real = trl_speed.measure
    monkeypatch.setattr(trl_speed, "measure", measure)
    assert trl_speed.main([*TINY, *more]) == 0
    printed = json.loads(capsys.readouterr().out)
    (found,) = seen
    for steps in found.values():
        assert len(steps.seconds) == 1
        (work,) = steps.work
        assert (work.completions, work.sampled_tokens, work.updates) == (16, 48, 1)
        assert work.prompt_tokens > 16 * 80
    assert found[OURS].work == found[TRL].work
    assert printed["work"] == found[TRL].work[0]._asdict()
    assert printed["ratio"] == pytest.approx(
        printed[TRL]["seconds_per_step"] / printed[OURS]["seconds_per_step"]
    )


def test_work_that_differs_is_an_error(monkeypatch):
    monkeypatch.setattr(trl_speed.Ours, "step", lambda self, prompts, step: Work(16, 0, 47, 1))
    torch.set_num_threads(1)
    with pytest.raises(DialogGymError, match="did not do the same"):
        trl_speed.measure(Setting(64, 1, 2, 3, 0.0, False), 1)


def test_figures():
    work = [Work(32, 3500, 1280, 1)] * 3
    result = trl_speed.compare({OURS: Steps([1.0, 2.0, 4.0], work), TRL: Steps([3.0, 4.0, 8.0], work)})
    assert (result[OURS]["seconds_per_step"], result[TRL]["seconds_per_step"]) == (2.0, 4.0)
    assert result["ratio"] == 2.0
    ours, theirs = trl_speed.table(result).splitlines()[1:3]
    assert ours.split() == ["ours", "2.00", "640", "2.00"]
    assert theirs.split() == ["TRL", "4.00", "320", "1.00"]


@pytest.mark.parametrize("wrong", [["--hidden", "50"], ["--tokens", "0"], ["--kl", "-1"]])
def test_mistakes_are_named(wrong, capsys):
    with pytest.raises(SystemExit):
        trl_speed.main(wrong)
    assert f"{wrong[0]} is {wrong[1]}" in capsys.readouterr().err
