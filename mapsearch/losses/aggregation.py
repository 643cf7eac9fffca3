"""Several teacher features as one: what a row of `W` is matched with when its pairs are not summed."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mapsearch.losses.feature_rows import averaged_to, covering


class Mixture(nn.Module):
    """The teacher features of a row as one target: `sum_t a_t * feature_t / norm_t`, with `a` summing to one.

    `norm_t` is the layer's standard deviation around its channel means, root mean square over channels,
    measured once by `measure_norms` and then frozen. Without it the layer with the largest activations
    would be the mixture whatever the weights (data2vec normalises each layer before it averages them
    for this reason: Baevski et al. 2022, section 3.3). One number per layer, not one per channel or
    position: the shape of a feature, and where on a map its energy lies, stay as they are when pairs
    are summed, so that `fuse` and `sum` differ in nothing else. Maps are first averaged down to the
    smallest grid among them. Trap: channel c of one layer is added to channel c of another, which
    means little where layers do not share a residual stream.

    Fixed, `a` is the row of `W`. Learned, `a = softmax(log W + SPEED * shift)`, and minimising the loss over
    `a` alone would pick the teacher layer that is *easiest* to imitate, not the one that teaches most.
    `anchor` counteracts that: `PULL * KL(a || W)`, in units of the loss at the start; the optimizer's
    weight decay of `shift` leads back to `W` too.

    Args:
        kind: of the teacher layers; all have one kind and width.
        parts: the row of `W`, summing to one.
        norms: one per teacher layer.
    """

    SPEED = 10.0  # an adaptive optimizer moves a parameter by about lr a step: too little for a logit in one run
    PULL = 0.5  # a layer that is easier by the whole loss of the start could gain a factor of e^2

    def __init__(self, kind: str, parts: Sequence[float], norms: Sequence[float], learned: bool) -> None:
        super().__init__()
        self.kind = kind
        self.norms: Tensor
        self.start: Tensor
        self.travelled: Tensor
        self.register_buffer("norms", torch.tensor(norms))
        self.register_buffer("start", torch.tensor([math.log(part) for part in parts]), persistent=False)
        self.register_buffer("travelled", torch.zeros(len(parts)))  # the sum of `a` over all training steps
        self.shift = nn.Parameter(torch.zeros(len(parts))) if learned and len(parts) > 1 else None

    def weights(self) -> Tensor:
        """`a`, one weight per teacher layer, now."""
        return self._logs().exp()

    def average(self) -> Tensor:
        """`a` averaged over the training steps so far; before the first, as it starts."""
        n_steps = self.travelled.sum()
        return torch.where(n_steps > 0, self.travelled / n_steps.clamp(min=1), self.weights().detach())

    def anchor(self) -> Tensor:
        """What leaving `W` costs: `PULL * KL(a || W)`; zero while the weights are fixed."""
        logs = self._logs()
        return self.PULL * (logs.exp() * (logs - self.start)).sum()

    def stack(self, features: Sequence[Tensor]) -> Tensor:
        """The features one after the other, `[n * B, ...]`, so that a projector lays all out alike in one call."""
        return torch.cat(self.aligned(features))

    def forward(self, stacked: Tensor, mask: Tensor | None = None) -> Tensor:
        """The mixture `[B, C, *positions]` of stacked features `[n * B, C, *positions]`.

        Its gradient reaches the weights only. Where `mask`, bool `[B, *positions]`, is about these
        positions, padding comes out as zero.
        """
        weights = self.weights()
        if self.shift is not None and torch.is_grad_enabled():
            self.travelled += weights.detach()
        features = stacked.detach().view(len(weights), -1, *stacked.shape[1:])
        real = covering(mask, features[0])
        if real is not None:  # padding may hold NaN, which would reach the weights through a gradient of zero
            features = features.masked_fill(~real.unsqueeze(1), 0.0)
        factors = (weights / self.norms).view(-1, *[1] * stacked.ndim)
        return (factors * features).sum(0)  # a matrix product would be in bfloat16 under autocast

    def _logs(self) -> Tensor:
        return self.start if self.shift is None else torch.log_softmax(self.start + self.SPEED * self.shift, 0)

    def aligned(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The features in float32, maps on the smallest grid among them."""
        if self.kind != "map":
            return [feature.float() for feature in features]
        grid = [min(sizes) for sizes in zip(*(feature.shape[2:] for feature in features), strict=True)]
        return [averaged_to(feature.float(), grid) for feature in features]


@torch.no_grad()
def measure_norms(mixture: Mixture, batches: Sequence[tuple[Sequence[Tensor], Tensor | None]]) -> None:
    """Freeze a mixture's `norms` from batches of (one feature per teacher layer, mask)."""
    freeze_norms(mixture, [variances(mixture, features, mask) for features, mask in batches])


@torch.no_grad()
def variances(mixture: Mixture, features: Sequence[Tensor], mask: Tensor | None) -> Tensor:
    """The variance of each teacher layer's feature in a batch, `[n]`."""
    return torch.stack([_variance(mixture.kind, feature, mask) for feature in mixture.aligned(features)])


@torch.no_grad()
def freeze_norms(mixture: Mixture, measured: Sequence[Tensor]) -> None:
    """Freeze a mixture's `norms` at what `variances` gave for several batches."""
    deviations = torch.stack([*measured]).mean(0).sqrt()
    mixture.norms.copy_(torch.where(deviations > 0, deviations, 1.0))  # a constant feature stays as it is


def _variance(kind: str, feature: Tensor, mask: Tensor | None) -> Tensor:
    """The variance around the channel means over real positions, averaged over channels."""
    places = feature.movedim(1, -1) if kind == "map" else feature
    real = places[mask] if mask is not None and mask.shape == places.shape[:-1] else places.flatten(0, -2)
    return real.var(0, correction=0).mean()
