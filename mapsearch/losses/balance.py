"""How the terms of a loss are balanced during training, where frozen scales alone do not."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Uncertainty(nn.Module):
    """A learned variance per term: `w * (exp(-s) * loss + s)` with `s = log variance`, zero at the start.

    Twice the negative log-likelihood of Kendall, Gal and Cipolla 2018, eq. 7, its logit terms too (their eq. 10
    only halves `s`), times the term's share `w`, so that a share keeps its meaning: at the optimum
    `exp(s)` is the loss and every term contributes `w`. The total may be negative. Trap: a term that can be driven
    to zero, such as the task's loss on few labels, gets a weight without bound; and `s` follows the
    learning rate, so it hardly moves in short runs. Costs one number per term.
    """

    LOG_VARIANCE_UNIT = 10.0  # an adaptive optimizer moves a parameter by about lr a step: too little for one run

    def __init__(self, n_terms: int) -> None:
        super().__init__()
        self.log_variances = nn.Parameter(torch.zeros(n_terms))

    def forward(self, weights: Sequence[float | Tensor], losses: Sequence[Tensor]) -> list[Tensor]:
        """The weighted terms, from the share and the loss of each."""
        logs = self.LOG_VARIANCE_UNIT * self.log_variances
        return [w * ((-s).exp() * loss + s) for w, loss, s in zip(weights, losses, logs, strict=True)]


class Gate(nn.Module):
    """Holds back a feature term's gradient in the steps in which it opposes the task's and the outputs'.

    Compared at the student feature that the term is attached to, over the whole batch: there the
    term's gradient is at hand in the backward pass, and the other costs one more backward through activations
    down to the lowest taught layer, without weight gradients. If the cosine is negative the student
    gets nothing from this term in this step; the projector learns on, else it could never end the
    conflict. One-sided: the task's gradient stays as it is, and so does the value of the loss.

    Source: Du et al. 2018, "Adapting auxiliary losses using gradient similarity", unweighted variant,
    which compares at the shared parameters. Trap: a term that helps later may oppose now.
    """

    def __init__(self, n_terms: int) -> None:
        super().__init__()
        self.n_shut: Tensor
        self.n_steps: Tensor
        self.register_buffer("n_shut", torch.zeros(n_terms))
        self.register_buffer("n_steps", torch.zeros(n_terms))
        self.held_open = False

    def forward(self, features: Sequence[Tensor], main: Tensor) -> list[Tensor]:
        """The student features of the terms, equal in value, whose gradients pass the gate.

        Args:
            main: task and output terms, a scalar.
        """
        attached = {term: feature for term, feature in enumerate(features) if feature.requires_grad}
        if not (torch.is_grad_enabled() and main.requires_grad and attached):
            return list(features)
        received = torch.autograd.grad(main, [*attached.values()], retain_graph=True, allow_unused=True)
        gradients = dict(zip(attached, received, strict=True))
        return [self._gated(term, feature, gradients.get(term)) for term, feature in enumerate(features)]

    def dropped(self) -> list[float]:
        """The fraction of the steps in which each term was held back."""
        return (self.n_shut / self.n_steps.clamp(min=1)).tolist()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Lets every gradient pass, to look at terms one by one."""
        self.held_open = True
        try:
            yield
        finally:
            self.held_open = False

    def _gated(self, term: int, feature: Tensor, main: Tensor | None) -> Tensor:
        if main is None:  # the layer does not lead to the output: nothing to oppose
            return feature

        def admit(gradient: Tensor) -> Tensor:
            if self.held_open:
                return gradient
            opposes = (gradient.float() * main.float()).sum() < 0
            self.n_shut[term] += opposes
            self.n_steps[term] += 1
            return gradient.masked_fill(opposes, 0.0)

        gated = feature.view_as(feature)
        gated.register_hook(admit)  # type: ignore[no-untyped-call]
        return gated
