"""RecipeLoss: the weighted sum that a recipe describes, as a module for any training loop."""

import zlib
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from mapsearch.core.errors import MappingError
from mapsearch.core.layers import Layer, fused_layer
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.masks import OUTPUTS, mask_for
from mapsearch.core.projectors import projector_arguments
from mapsearch.core.recipe import FeatureLossName, OutputLossName, Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.core.terms import FeatureTerm
from mapsearch.losses.aggregation import Mixture, freeze_norms, variances
from mapsearch.losses.balance import Gate, Uncertainty
from mapsearch.losses.distributions import attention_relation, nst
from mapsearch.losses.fading import fade
from mapsearch.losses.features import attention, cosine, mse, nmse, teacher_variance, vid
from mapsearch.losses.outputs import binary_kl, cosine_distance, dkd, huber, kl, logit_mse, relational, standardised_kl
from mapsearch.losses.projectors import Projector
from mapsearch.losses.relations import cka, gram, pkt, relational_angle, relational_distance
from mapsearch.losses.sides import SIDES, Memo, TeacherFeatures, shared_loss

Masks = Tensor | Mapping[str, Tensor] | None
"""Real positions, bool `[B, L]`: one mask for all, or several by name and glob of the layers (`core/masks.py`)."""

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

OUTPUT_LOSSES: dict[OutputLossName, Callable[..., Tensor]] = {
    "kl": kl,
    "dkd": dkd,
    "standardised_kl": standardised_kl,
    "binary_kl": binary_kl,
    "mse": logit_mse,
    "huber": huber,
    "cosine": cosine_distance,
    "relational": relational,
}


class RecipeLoss(nn.Module):
    """`total = (1 - share) * (task_weight * task + output_weight * KL) + share * sum_st W[s, t] * loss_st / scale_st`.

    `W` sums to one and `scale_st` is the pair's loss at the start, measured by `calibrate` and then
    frozen, so that a share means the same for every loss, layer and architecture. KL carries its
    temperature^2. The feature part fades with `fade(progress)`. Where the recipe's aggregation is not
    `sum`, a row of `W` is one term, with one projector and scale (see `Mixture`); its balance may
    change the weights or gradients of terms during training (see `Uncertainty` and `Gate`).

    Example:
        loss = RecipeLoss(recipe, student_layers, teacher_layers)
        optimizer = AdamW([*student.parameters(), *loss.parameters()])  # the projectors learn too
        loss.calibrate([(student_features, teacher_features, None)])
        loss(task, s_logits, t_logits, s_features, t_features, progress=step / n_steps).backward()

    Args:
        seed: seeds each projector by its term, so that a term starts alike in every recipe.

    Raises:
        MappingError: the recipe is not legal between these layers.
    """

    def __init__(self, recipe: Recipe, student: Sequence[Layer], teacher: Sequence[Layer], seed: int = 0) -> None:
        super().__init__()
        problems = RecipeSpace(tuple(student), tuple(teacher)).problems(recipe)
        if problems:
            raise MappingError(*problems)
        self.recipe = recipe
        self.feature_terms = recipe.feature_terms
        self.names = tuple(term.name for term in self.feature_terms)
        s_layers, t_layers = {x.path: x for x in student}, {x.path: x for x in teacher}
        targets = [fused_layer([t_layers[path] for path in term.teachers]) for term in self.feature_terms]
        self.projectors = nn.ModuleList(
            _projector(recipe, s_layers[term.student], target, f"{seed}: {term.name}")
            for term, target in zip(self.feature_terms, targets, strict=True)
        )
        self.mixtures = nn.ModuleList(
            Mixture(target.kind or "vector", term.parts, [1.0] * len(term.parts), learned=recipe.aggregation == "mix")
            for term, target in zip(self.feature_terms, targets, strict=True)
            if recipe.aggregation != "sum"
        )
        n_terms = len(self.names)
        self.gate = Gate(n_terms) if recipe.balance == "gate" else None
        n_weighted = recipe.uses_task + recipe.uses_outputs + n_terms
        self.uncertainty = Uncertainty(n_weighted) if recipe.balance == "uncertainty" else None
        self.scales: Tensor
        self.register_buffer("scales", torch.ones(n_terms))

    @property
    def norms(self) -> tuple[float, ...]:
        """What each pair's teacher feature is divided by before it is mixed; empty where pairs are summed."""
        return tuple(norm for _, mixture in self._rows() for norm in mixture.norms.tolist())

    @property
    def mixed_weights(self) -> tuple[float, ...]:
        """The learned `W` of each pair averaged over the training steps, summing to one; empty unless `mix`."""
        rows = self._rows() if self.recipe.aggregation == "mix" else []
        return tuple(term.weight * part for term, mixture in rows for part in mixture.average().tolist())

    def fade(self, progress: float) -> float:
        """Factor of the feature part at a fraction of the schedule: cosine from 1 to 0 at `recipe.anneal`.

        It is 0 from `recipe.features_until` on.
        """
        return fade(self.recipe.anneal, self.recipe.features_until, progress)

    def is_over(self, progress: float) -> bool:
        """Whether the features have ceased to teach."""
        return progress >= self.recipe.features_until < 1

    def feature_losses(
        self, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], mask: Masks = None
    ) -> Tensor:
        """The raw loss of every feature term, `[P]`, from features by layer path."""
        return self._feature_losses(self._student_features(student), teacher, mask)

    @torch.no_grad()
    def calibrate(self, batches: Sequence[tuple[Mapping[str, Tensor], Mapping[str, Tensor], Masks]]) -> None:
        """Freeze what mixtures divide by, then `scales` at the mean raw loss, over (student, teacher, mask) batches."""
        if not (self.feature_terms and batches):
            return
        self.freeze_norms([self.teacher_variances(teacher, mask) for _, teacher, mask in batches])
        self.freeze_scales([self.starting_losses(*batch) for batch in batches])

    @torch.no_grad()
    def teacher_variances(self, teacher: Mapping[str, Tensor], mask: Masks) -> list[Tensor]:
        """What `freeze_norms` wants of a batch, one tensor per mixture; empty where pairs are summed."""
        return [
            variances(mixture, [teacher[path] for path in term.teachers], mask_for(mask, term.student, *term.teachers))
            for term, mixture in self._rows()
        ]

    def freeze_norms(self, measured: Sequence[list[Tensor]]) -> None:
        """Freeze what mixtures divide by; before `freeze_scales`, which depends on it.

        Args:
            measured: what `teacher_variances` gave for each of some batches.
        """
        for i, (_, mixture) in enumerate(self._rows()):
            freeze_norms(mixture, [batch[i] for batch in measured])

    @torch.no_grad()
    def starting_losses(self, student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], mask: Masks) -> Tensor:
        """What `freeze_scales` wants of a batch: the raw losses, `[P]`, or the least scale where they are below it."""
        traits, features = LOSS_TRAITS[self.recipe.loss], self._student_features(student)
        losses, units = self._feature_losses(features, teacher, mask), torch.ones_like(self.scales)
        if traits.in_teacher_units:
            units = self._feature_losses(features, teacher, mask, teacher_variance).clamp(min=1e-8)
        return torch.maximum(losses, traits.min_scale * units)

    @torch.no_grad()
    def freeze_scales(self, losses: Sequence[Tensor]) -> None:
        """Freeze `scales` at the mean over batches of what `starting_losses` gave, each `[P]`."""
        self.scales.copy_(torch.stack([*losses]).mean(0))  # [batches, P] -> [P]

    @torch.no_grad()
    def scale_features(self, factor: float) -> None:
        """Divide the feature part by a factor, so that its share becomes one of the gradient."""
        self.scales.mul_(factor)

    @torch.no_grad()
    def restore(self, scales: Sequence[float], norms: Sequence[float]) -> None:
        """Take over what `calibrate` froze in an earlier run: its `scales` and `norms`."""
        self.scales.copy_(torch.tensor(scales))
        left = list(norms)
        for term, mixture in self._rows():
            mixture.norms.copy_(torch.tensor([left.pop(0) for _ in term.teachers]))

    def forward(
        self,
        task: Tensor | None,
        student_outputs: Tensor | None,
        teacher_outputs: Tensor | None,
        student: Mapping[str, Tensor],
        teacher: Mapping[str, Tensor],
        mask: Masks = None,
        progress: float = 0.0,
    ) -> Tensor:
        """The total loss of a batch, a scalar: the sum of its `terms`."""
        terms = self.terms(task, student_outputs, teacher_outputs, student, teacher, mask, progress)
        return torch.stack([*terms.values()]).sum()

    def terms(
        self,
        task: Tensor | None,
        student_outputs: Tensor | None,
        teacher_outputs: Tensor | None,
        student: Mapping[str, Tensor],
        teacher: Mapping[str, Tensor],
        mask: Masks = None,
        progress: float = 0.0,
        fade: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The weighted terms by name: `task`, `outputs` and one per feature term; their sum is the loss.

        Args:
            task: the task's own loss, a scalar; None where the recipe does without.
            student_outputs: `[..., C]`, and so the teacher's; None where the recipe does without.
            mask: one for all, or several by name or glob of the layers, and of the `outputs`.
            fade: `fade(progress)` on the device, for whoever records the terms once and computes them often.
        """
        raw = self.raw_terms(task, student_outputs, teacher_outputs, student, teacher, mask, progress)
        return self.weighted(raw, progress, fade)

    def raw_terms(
        self, task: Tensor | None, student_outputs: Tensor | None, teacher_outputs: Tensor | None,
        student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], mask: Masks, progress: float,
    ) -> dict[str, Tensor]:  # fmt: skip
        """The losses by name before they are weighted and divided by their scales; `terms` says what is passed."""
        recipe, raw = self.recipe, {}
        if recipe.uses_task:
            assert task is not None
            raw["task"] = task
        if recipe.uses_outputs:
            assert student_outputs is not None
            assert teacher_outputs is not None
            output_loss = OUTPUT_LOSSES[recipe.output_loss]
            raw["outputs"] = output_loss(student_outputs, teacher_outputs, recipe.temperature, mask_for(mask, OUTPUTS))
        if self.feature_terms:
            features, is_over = self._student_features(student), self.is_over(progress)
            if self.gate is not None and raw and not is_over:
                main = torch.stack(_weighted(self._main_weights(), [*raw.values()])).sum()
                features = self.gate(features, main)
            losses = torch.zeros_like(self.scales) if is_over else self._feature_losses(features, teacher, mask)
            raw |= zip(self.names, losses.unbind(), strict=True)
        return raw

    def weighted(self, raw: Mapping[str, Tensor], progress: float, fade: Tensor | None = None) -> dict[str, Tensor]:
        """The `terms`, made of what `raw_terms` gave at the same progress."""
        weights, losses = self._main_weights(), [raw[name] for name in raw if name not in self.names]
        if self.feature_terms:
            share = self.recipe.feature_share * (self.fade(progress) if fade is None else fade)
            weights += [share * term.weight for term in self.feature_terms]
            features = torch.stack([raw[name] for name in self.names])
            losses += (features if self.is_over(progress) else features / self.scales + self._anchors()).unbind()
        return dict(zip(raw, (self.uncertainty or _weighted)(weights, losses), strict=True))

    def _main_weights(self) -> list[float | Tensor]:
        """The weights of the terms that are not features, those of `raw_terms` that come first."""
        r, share = self.recipe, 1 - self.recipe.feature_share
        return [share * w for used, w in ((r.uses_task, r.task_weight), (r.uses_outputs, r.output_weight)) if used]

    def _student_features(self, student: Mapping[str, Tensor]) -> list[Tensor]:
        return [student[term.student] for term in self.feature_terms]

    def _rows(self) -> list[tuple[FeatureTerm, Mixture]]:
        """The terms with their mixtures; none where pairs are summed."""
        mixtures = [mixture for mixture in self.mixtures if isinstance(mixture, Mixture)]
        return list(zip(self.feature_terms if mixtures else (), mixtures, strict=True))

    def _anchors(self) -> Tensor | float:
        """What the learned mixtures pay for leaving `W`, `[P]`."""
        return torch.stack([m.anchor() for _, m in self._rows()]) if self.recipe.aggregation == "mix" else 0.0

    def _feature_losses(
        self, student_features: Sequence[Tensor], teacher: Mapping[str, Tensor], mask: Masks,
        function: Callable[..., Tensor] | None = None,
    ) -> Tensor:  # fmt: skip
        mixtures, values, averaged = [mixture for _, mixture in self._rows()], list[Tensor](), Memo()
        name, is_shared = self.recipe.loss, self.recipe.loss in SIDES and not (mixtures or function)
        shared = teacher if is_shared and isinstance(teacher, TeacherFeatures) else None
        for i, (term, feature) in enumerate(zip(self.feature_terms, student_features, strict=True)):
            projector, own = self.projectors[i], mask_for(mask, term.student, *term.teachers)
            assert isinstance(projector, Projector)
            if shared is not None:
                values.append(shared_loss(name, projector, feature, shared, term.teachers[0], own, averaged))
                continue
            teacher_features = [teacher[path] for path in term.teachers]
            s, t = projector(feature, mixtures[i].stack(teacher_features) if mixtures else teacher_features[0])
            loss = function or FEATURE_LOSSES[name]
            values.append(loss(s, mixtures[i](t, own) if mixtures else t, own, **projector.learned))
        return torch.stack(values) if values else self.scales.new_zeros(0)


def _weighted(weights: Sequence[float | Tensor], losses: Sequence[Tensor]) -> list[Tensor]:
    return [weight * loss for weight, loss in zip(weights, losses, strict=True)]


def _projector(recipe: Recipe, student: Layer, teacher: Layer, key: str) -> Projector:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(zlib.crc32(key.encode()))
        return Projector(**projector_arguments(recipe.loss, recipe.projector, student, teacher))
