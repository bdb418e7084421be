from typing import Any

import numpy as np
import pytest

from dialog_gym import resampling


class TestBootstrap:
    def test_two_episodes_by_enumeration(self) -> None:
        # means of two draws from {0, 1}: 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4
        means = resampling.bootstrap_means([0.0, 1.0], [1.0, 1.0], resamples=20_000)[:, 0]
        assert [np.mean(means == x) for x in (0.0, 0.5, 1.0)] == pytest.approx([0.25, 0.5, 0.25], abs=0.015)

    def test_single_cluster_stratum(self) -> None:
        means = resampling.bootstrap_means([1.0, 0.0, 1.0], np.ones(3), strata=[0, 1, 1], resamples=100)
        assert set(np.round(means[:, 0] * 3)) == {1.0, 2.0, 3.0}

    def test_chunking_changes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values = np.random.default_rng(0).random((40, 3)) * [1.0, 1e9, 1e-9]
        arguments: tuple[Any, ...] = (values, np.ones_like(values), np.arange(40) % 2, np.arange(40), 301, 5)
        whole = resampling.bootstrap_means(*arguments)
        for cells in (1, 20, 333):
            monkeypatch.setattr(resampling, "_CHUNK_CELLS", cells)
            assert np.array_equal(resampling.bootstrap_means(*arguments), whole)


class TestStandardError:
    def test_agrees_with_the_bootstrap(self) -> None:
        rng = np.random.default_rng(0)
        weights = rng.integers(1, 5, 600).astype(float)
        values, clusters = weights * np.repeat(rng.random(200), 3), np.repeat(np.arange(200), 3)
        error = resampling.cluster_standard_error(values, weights, clusters % 2, clusters)
        means = resampling.bootstrap_means(values, weights, clusters % 2, clusters, resamples=4000)
        assert error == pytest.approx(means.std(), rel=0.06)
