"""One thread: small matrices gain nothing from more, and other tests run beside these."""

from collections.abc import Iterator

import pytest
import torch

from tests.agents.learning.toy import LMShopper, NetShopper, ToyPolicy

BACKBONES: dict[str, type[ToyPolicy]] = {"net": NetShopper, "lm": LMShopper}


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=list(BACKBONES))
def shopper(request: pytest.FixtureRequest) -> ToyPolicy:
    """An untrained policy of either backbone."""
    return BACKBONES[request.param](seed=0)
