"""RecipeLoss: the weighted sum that a recipe describes, as a module for any training loop."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from mapsearch.core.errors import MappingError
from mapsearch.core.layers import Layer
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.recipe import FeatureLossName, LogitLossName, Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.losses.distributions import attention_relation, nst
from mapsearch.losses.features import attention, cosine, mse, nmse, vid
from mapsearch.losses.logits import dkd, kl, logit_mse, standardised_kl
from mapsearch.losses.projectors import Projector, projector_arguments
from mapsearch.losses.relations import cka, gram, pkt, relational_angle, relational_distance

FEATURE_LOSSES: dict[FeatureLossName, Callable[..., Tensor]] = {
    "nmse": nmse,
    "mse": mse,
    "cosine": cosine,
    "vid": vid,
    "attention": attention,
    "nst": nst,
    "attention_relation": attention_relation,
    "gram": gram,
    "relational_distance": relational_distance,
    "relational_angle": relational_angle,
    "pkt": pkt,
    "cka": cka,
}
"""All are called with two projected features, the mask, and what the projector has learned for them by name."""

LOGIT_LOSSES: dict[LogitLossName, Callable[..., Tensor]] = {
    "kl": kl,
    "dkd": dkd,
    "standardised_kl": standardised_kl,
    "mse": logit_mse,
}


class RecipeLoss(nn.Module):
    """`total = (1 - share) * (task_weight * task + logit_weight * KL) + share * sum_st W[s, t] * loss_st / scale_st`.

    `W` sums to one and `scale_st` is the pair's loss at the start, measured by `calibrate` and then
    frozen, so that a share means the same for every loss, layer and architecture. KL carries its
    temperature^2. The feature part fades with `fade(progress)`.

    Example:
        loss = RecipeLoss(recipe, student_layers, teacher_layers)
        optimizer = AdamW([*student.parameters(), *loss.parameters()])  # the projectors learn too
        loss.calibrate([(student_features, teacher_features, None)])
        loss(task, s_logits, t_logits, s_features, t_features, progress=step / n_steps).backward()

    Args:
        seed: seeds each projector by its pair, so that a pair starts alike in every recipe.

    Raises:
        MappingError: the recipe is not legal between these layers.
    """

    def __init__(self, recipe: Recipe, student: Sequence[Layer], teacher: Sequence[Layer], seed: int = 0) -> None:
        super().__init__()
        problems = RecipeSpace(tuple(student), tuple(teacher)).problems(recipe)
        if problems:
            raise MappingError(*problems)
        self.recipe = recipe
        self.pairs = recipe.mapping.normalised().pairs
        self.names = tuple(f"{pair.student} <- {pair.teacher}" for pair in self.pairs)
        s_layers, t_layers = {x.path: x for x in student}, {x.path: x for x in teacher}
        self.projectors = nn.ModuleList(
            _projector(recipe, s_layers[p.student], t_layers[p.teacher], seed) for p in self.pairs
        )
        self.scales: Tensor
        self.register_buffer("scales", torch.ones(len(self.pairs)))

    def fade(self, progress: float) -> float:
        """Factor of the feature part at a fraction of the schedule: cosine from 1 to 0 at `recipe.anneal`."""
        if self.recipe.anneal is None:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress / self.recipe.anneal)))

    def pair_losses(
        self, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> Tensor:
        """The raw loss of every pair, `[P]`, from features by layer path."""
        loss = FEATURE_LOSSES[self.recipe.loss]
        values = []
        for pair, projector in zip(self.pairs, self.projectors, strict=True):
            assert isinstance(projector, Projector)
            s, t = projector(student[pair.student], teacher[pair.teacher])
            values.append(loss(s, t, mask, **projector.learned))
        return torch.stack(values) if values else self.scales.new_zeros(0)

    @torch.no_grad()
    def calibrate(self, batches: Sequence[tuple[Mapping[str, Tensor], Mapping[str, Tensor], Tensor | None]]) -> None:
        """Freeze `scales` at the mean raw loss over (student features, teacher features, mask) batches."""
        if self.pairs and batches:
            losses = torch.stack([self.pair_losses(*batch) for batch in batches])  # [batches, P]
            self.scales.copy_(losses.mean(0).clamp(min=LOSS_TRAITS[self.recipe.loss].least_scale))

    def forward(
        self,
        task: Tensor,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        student: Mapping[str, Tensor],
        teacher: Mapping[str, Tensor],
        mask: Tensor | None = None,
        progress: float = 0.0,
    ) -> Tensor:
        """The total loss of a batch, a scalar: the sum of its `terms`."""
        terms = self.terms(task, student_logits, teacher_logits, student, teacher, mask, progress)
        return torch.stack([*terms.values()]).sum()

    def terms(
        self,
        task: Tensor,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        student: Mapping[str, Tensor],
        teacher: Mapping[str, Tensor],
        mask: Tensor | None = None,
        progress: float = 0.0,
    ) -> dict[str, Tensor]:
        """The weighted terms by name: `task`, `logits` and one per pair; their sum is the loss."""
        recipe = self.recipe
        terms = {"task": (1 - recipe.feature_share) * recipe.task_weight * task}
        if recipe.uses_logits:
            assert teacher_logits is not None
            value = LOGIT_LOSSES[recipe.logit_loss](student_logits, teacher_logits, recipe.temperature, mask)
            terms["logits"] = (1 - recipe.feature_share) * recipe.logit_weight * value
        if self.pairs:
            share = recipe.feature_share * self.fade(progress)
            losses = self.pair_losses(student, teacher, mask) / self.scales
            for name, pair, value in zip(self.names, self.pairs, losses, strict=True):
                terms[name] = share * pair.weight * value
        return terms


def _projector(recipe: Recipe, student: Layer, teacher: Layer, seed: int) -> Projector:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(zlib.crc32(f"{seed}: {student.path} <- {teacher.path}".encode()))
        return Projector(*projector_arguments(recipe.loss, recipe.projector, student, teacher))
