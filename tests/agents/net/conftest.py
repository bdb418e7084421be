"""One shop and one small network for all tests here; one thread, because other tests run beside these."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from dialog_gym.agents.learning.rollout import Episodes, Rollout
from dialog_gym.agents.net.policy import NetConfig, NetPolicy
from dialog_gym.domains.credit.domain import CreditDomain


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def domain() -> CreditDomain:
    return CreditDomain()


@pytest.fixture
def policy(domain: CreditDomain) -> NetPolicy:
    return NetPolicy(domain, NetConfig(hidden=32), seed=1)


def some_episodes(count: int, scenario: str = "proactive_sale") -> Episodes:
    """Tasks and customers from all over the split, some tasks twice."""
    seeds = np.arange(count, dtype=np.uint64) * np.uint64(7919) + np.uint64(2**40)
    return Episodes(scenario, np.arange(count) * 37 % 501, seeds, np.arange(count))


@pytest.fixture(params=["proactive_sale", "customer_service"])
def episodes(request: Any) -> Episodes:
    return some_episodes(80, request.param)


@pytest.fixture
def rollout(policy: NetPolicy, episodes: Episodes) -> Rollout:
    return policy.collect(episodes, torch.Generator().manual_seed(3))
