"""A feature as rows: what similarities are measured on. How a feature became rows changes the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mapsearch.core.layers import Kind, Layer

MapRows = Literal["flatten", "grid", "mean"]
TokenRows = Literal["mean", "first", "flatten", "samples"]
Outliers = Literal["clip", "normalise", "keep"]

GRID_SIZE = 4
"""Positions that an axis has at most after `maps: grid`."""
OUTLIER_NORM_RATIO = 10.0
"""A token is an outlier when its norm is this many times the median: those of large models are by hundreds."""


@dataclass(frozen=True)
class Rows:
    """One feature as rows `[n, D]`, and the share of its real tokens that were outliers."""

    rows: Tensor
    outliers: float = 0.0


@dataclass(frozen=True)
class RowRule:
    """How features become rows.

    Maps `[B, C, ...]`: `flatten` keeps every position, `grid` averages down to at most 4 positions an
    axis, `mean` over all of them. Tokens `[B, L, D]`: `mean` over real tokens, `first` the first
    token, `flatten` all positions with zeros for padding, `samples` a row per real token in a shuffled
    order, which is the same for every layer. Vectors stay.

    Outlier tokens own averages and Gram matrices: `clip` scales a token of more than ten times the
    median norm down to the median, `normalise` scales every token to norm one, `keep` does nothing.
    The first token is taken as it is. Source: Sun et al. 2024 (massive activations).
    """

    maps: MapRows = "flatten"
    tokens: TokenRows = "mean"
    outliers: Outliers = "clip"

    def words(self, kinds: set[Kind | None]) -> str:
        """What was done to features of these kinds, for people."""
        phrases = []
        if "map" in kinds:
            words = {
                "flatten": "flattened",
                "mean": "averaged",
                "grid": f"averaged down to {GRID_SIZE} positions an axis",
            }
            phrases.append(f"maps {words[self.maps]}")
        if "tokens" in kinds:
            words = {"mean": "averaged", "first": "only the first", "flatten": "flattened", "samples": "each a sample"}
            phrases.append(f"tokens {words[self.tokens]}")
        return "; ".join(phrases) or "vectors"


def to_rows(
    feature: Tensor, kind: Kind | None, rule: RowRule, mask: Tensor | None = None, order: Tensor | None = None,
    sampled: int = 1,
) -> Rows:  # fmt: skip
    """A feature of `B` samples as rows, padded positions left out.

    Args:
        mask: real positions, bool `[B, L]`; one of another shape does not belong to this feature.
        order: for `tokens: samples`, the real positions as indices into `B * L`, in the order wanted.
        sampled: outliers are looked for in every so many-th sample.
    """
    if kind == "tokens":
        return _token_rows(feature, rule, _fitting(mask, feature), order, sampled)
    if kind == "map" and rule.maps == "mean":
        return Rows(feature.flatten(2).mean(-1, dtype=torch.float32))
    if kind == "map" and rule.maps == "grid":
        return Rows(_on_grid(feature).flatten(1))
    return Rows(feature.flatten(1))


def width(layer: Layer, rule: RowRule) -> int:
    """Numbers in a row of that layer."""
    if layer.kind == "map":
        positions = {"flatten": layer.positions, "grid": tuple(min(GRID_SIZE, n) for n in layer.positions), "mean": ()}
        return layer.width * prod(positions[rule.maps])
    return prod(layer.shape) if rule.tokens == "flatten" else layer.width


def token_order(mask: Tensor, random: torch.Generator) -> Tensor:
    """The real positions of a batch as indices into `B * L`, shuffled, so that blocks mix the samples."""
    real = mask.flatten().nonzero().flatten()
    return real[torch.randperm(len(real), generator=random).to(real.device)]


def _token_rows(feature: Tensor, rule: RowRule, mask: Tensor | None, order: Tensor | None, sampled: int) -> Rows:
    if rule.tokens == "first":
        return Rows(_first(feature, mask))
    feature, share = _without_outliers(feature, mask, rule.outliers, sampled)
    if rule.tokens == "samples":
        flat = feature.flatten(0, 1)
        return Rows(flat if order is None else flat[order], share)
    if rule.tokens == "flatten":
        return Rows((feature if mask is None else feature.masked_fill(~mask.unsqueeze(-1), 0.0)).flatten(1), share)
    return Rows(_mean(feature, mask), share)


def _first(feature: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return feature[:, 0]
    return feature[torch.arange(len(feature), device=feature.device), mask.int().argmax(1)]  # padding may come first


def _mean(feature: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return feature.mean(1, dtype=torch.float32)
    real = mask.float()
    weights = (real / real.sum(1, keepdim=True).clamp(min=1)).unsqueeze(1)  # [B, 1, L]
    mean = (weights @ feature.float()).squeeze(1)
    if bool(mean.isfinite().all()):
        return mean
    return (weights @ feature.float().masked_fill(~mask.unsqueeze(-1), 0.0)).squeeze(1)  # padding may hold NaN


def _without_outliers(feature: Tensor, mask: Tensor | None, outliers: Outliers, sampled: int) -> tuple[Tensor, float]:
    """The feature with outlier tokens scaled, and their share of the real tokens looked at."""
    if outliers == "keep":
        return feature, 0.0
    if outliers == "normalise":
        return F.normalize(feature.float(), dim=-1), 0.0
    _, _, share = _norms(feature[::sampled], None if mask is None else mask[::sampled])
    if not share:
        return feature, 0.0
    norms, median, share = _norms(feature, mask)
    factor = torch.where(norms > OUTLIER_NORM_RATIO * median, median / norms, 1.0)
    return feature.float() * factor.unsqueeze(-1), share


def _norms(feature: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, float]:
    """Every token's norm `[B, L]`, the median of the real ones, and the share of outliers among these."""
    norms = torch.linalg.vector_norm(feature, dim=-1, dtype=torch.float32)
    real = norms.flatten() if mask is None else norms[mask]
    if not len(real):
        return norms, norms.new_ones(()), 0.0
    median = real.median()
    return norms, median, float((real > OUTLIER_NORM_RATIO * median).float().mean()) if float(median) > 0 else 0.0


def _on_grid(feature: Tensor) -> Tensor:
    size = [min(GRID_SIZE, n) for n in feature.shape[2:]]
    pools: dict[int, Callable[[Tensor, Any], Tensor]]
    pools = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
    return pools[len(size)](feature.float(), size)


def _fitting(mask: Tensor | None, feature: Tensor) -> Tensor | None:
    return mask.bool() if mask is not None and mask.shape == feature.shape[:2] else None
