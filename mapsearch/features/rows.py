"""A feature as one row per sample: what similarities are measured on."""

from torch import Tensor

from mapsearch.core.layers import Kind


def rows(feature: Tensor, kind: Kind | None, mask: Tensor | None) -> Tensor:
    """One row per sample `[B, D]`: maps are flattened, tokens averaged over their real positions."""
    if kind != "tokens":
        return feature.flatten(1)
    if mask is None or mask.shape != feature.shape[:2]:
        return feature.float().mean(1)
    real = mask.bool().unsqueeze(-1)  # [B, L, 1]
    return feature.float().masked_fill(~real, 0.0).sum(1) / real.sum(1).clamp(min=1)  # padding may hold NaN
