"""From named rewards to advantages: mixing, returns, GAE, groups. Arrays are [dialogue, turn]."""

from collections.abc import Mapping

import torch
from torch import Tensor

EPSILON = 1e-6
"""Added to a standard deviation before dividing by it."""
ROUNDING = 1e-6
"""A deviation below this share of the mean is rounding: there is no spread."""


def mix_rewards(rewards: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of named rewards, float32[D, T]; what cannot be judged (NaN, or absent) drops out."""
    total = torch.zeros_like(next(iter(rewards.values())))
    for name, weight in weights.items():
        if name in rewards:
            total = total + torch.nan_to_num(rewards[name], nan=0.0) * weight
    return total


def returns_to_go(rewards: Tensor, discount: float) -> Tensor:
    """Discounted sum of the rewards from each turn on."""
    found, later = torch.empty_like(rewards), torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        found[:, t] = later = rewards[:, t] + discount * later
    return found


def gae(rewards: Tensor, values: Tensor, discount: float, gae_lambda: float) -> Tensor:
    """Generalised advantage estimation over the turns of each dialogue (Schulman et al., arXiv 1506.02438).

    Args:
        rewards: float32[D, T], 0 after the end.
        values: float32[D, T], expected return before each turn, 0 after the end.
        discount: γ, per turn.
        gae_lambda: λ.

    Returns:
        float32[D, T]: Σ_k (γλ)^k δ_{t+k} with δ_t = r_t + γ V_{t+1} − V_t.
    """
    after = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], 1)
    return returns_to_go(rewards + discount * after - values, discount * gae_lambda)


def normalise(values: Tensor, mask: Tensor) -> Tensor:
    """Shifted and scaled to mean 0 and deviation 1 over the mask; 0 outside."""
    chosen = values[mask]
    if len(chosen) < 2:
        return torch.zeros_like(values)
    mean, deviation = chosen.mean(), chosen.std(correction=0)
    return torch.where(_spread(mean, deviation), (values - mean) / (deviation + EPSILON), 0.0) * mask


def _spread(mean: Tensor, deviation: Tensor) -> Tensor:
    """Whether values differ by more than rounding."""
    return deviation > ROUNDING * mean.abs()


def members_of(group: Tensor) -> tuple[Tensor, ...]:
    """The dialogues of each group, int64[n] each, in their order; ``group`` is int64[D]."""
    sizes = torch.bincount(group)
    return torch.split(torch.argsort(group, stable=True), sizes[sizes > 0].tolist())


def group_statistics(values: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each dialogue's group.

    Args:
        values: float32[D].
        group: int64[D].

    Returns:
        Two float32[D]; the deviation is that of the group as a population.
    """
    groups = int(group.max()) + 1
    count = torch.zeros(groups).index_add_(0, group, torch.ones_like(values))
    mean = torch.zeros(groups).index_add_(0, group, values) / count.clamp(min=1)
    centred = values - mean[group]
    variance = torch.zeros(groups).index_add_(0, group, centred.square()) / count.clamp(min=1)
    return mean[group], variance.sqrt()[group]


def group_normalise(values: Tensor, group: Tensor, *, divide: bool = True) -> Tensor:
    """GRPO's advantage, ``(r − mean) / (std + ε)`` within each group (Shao et al., arXiv 2402.03300).

    Args:
        values: float32[D], return of each dialogue.
        group: int64[D].
        divide: Whether to divide by the deviation; Dr. GRPO (arXiv 2503.20783) does not.

    Returns:
        float32[D]; 0 in groups without spread.
    """
    mean, deviation = group_statistics(values, group)
    scaled = (values - mean) / (deviation + EPSILON) if divide else values - mean
    return torch.where(_spread(mean, deviation), scaled, 0.0)


def turn_normalise(values: Tensor, turns: Tensor, group: Tensor) -> Tensor:
    """What is still to come after each turn, less the mean of the group's dialogues that take this turn.

    Args:
        values: float32[D, T], returns to go.
        turns: bool[D, T], which turns were taken.
        group: int64[D].

    Returns:
        float32[D, T], of deviation 1 over the turns of the batch; 0 after the end.
    """
    d, t = turns.nonzero(as_tuple=True)
    mean, _ = group_statistics(values[d, t], group[d] * turns.shape[1] + t)
    centred = torch.zeros_like(values).index_put((d, t), values[d, t] - mean)
    return normalise(centred, turns)


def has_spread(values: Tensor, group: Tensor) -> Tensor:
    """bool[D], whether the dialogues of each one's group earned different returns, float32[D]."""
    return _spread(*group_statistics(values, group))
