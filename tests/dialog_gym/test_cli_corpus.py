"""`evaluate --predictions`: wrong options end in one line and exit code 2."""

import pytest

from dialog_gym import cli


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            "--suite multiwoz-corpus",
            "suite multiwoz-corpus scores a file of responses: give --predictions FILE",
        ),
        ("--predictions p.json", "--predictions goes with --suite multiwoz-corpus, not with credit-v1"),
        ("--suite multiwoz-corpus --predictions p --agent silent", "--agent is for playing an agent"),
        ("--suite multiwoz-corpus --predictions p --episodes 5", "--episodes is for playing an agent"),
        ("--suite multiwoz-corpus --predictions p --resume", "--resume is for playing an agent"),
        ("--agent silent --partial", "--partial goes with --predictions FILE"),
        (
            "--suite multiwoz-corpus --predictions p",
            "the test split of MultiWOZ is not in none/multiwoz; get it with",
        ),
        (
            "--suite multiwoz-corpus --predictions p --data-dir .",
            "the test split of MultiWOZ is not in multiwoz; get it",
        ),
    ],
)
def test_a_mistake_is_one_line(capsys, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIALOG_GYM_DATA", "none")
    assert cli.run(["evaluate", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and line in err
