"""What is measured: suites, evaluation and the leaderboard."""

if __name__ == "benchmarks":
    raise ImportError("import dialog_gym.benchmarks, not benchmarks")
