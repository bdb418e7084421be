"""The verifiers' own test: a sample of broken rules, each of which the other tests must notice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "mutation_test.py"


@pytest.mark.slow
def test_no_mutant_of_a_sample_survives(tmp_path):
    verdicts = tmp_path / "verdicts.json"
    command = [sys.executable, str(SCRIPT), "--sample", "40", "--json", str(verdicts)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(verdicts.read_text("utf-8"))
    assert len(rows) == 40 and {row["verdict"] for row in rows} <= {"killed", "timeout"}
