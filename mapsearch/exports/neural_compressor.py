"""Target `neural-compressor`: a builder for versions up to 3.7; one-to-one pairs, MSE, projections that never learn."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.recipe import AggregationName, BalanceName, FeatureLossName, ProjectorName
from mapsearch.core.space import RecipeSpace
from mapsearch.exports.attached import AttachedLoss
from mapsearch.exports.capability import EVERYTHING, Lost
from mapsearch.exports.layout import docstring_line, literal
from mapsearch.exports.pasted import TORCH_IMPORTS, executed, module_name, pasted, with_helpers
from mapsearch.exports.source import ExportSource, multipliers
from mapsearch.exports.target import Target
from mapsearch.features.taps import feature_of

CAPABILITY = replace(
    EVERYTHING,
    losses=frozenset[FeatureLossName]({"mse"}),
    logit_losses=frozenset(),
    projectors=frozenset[ProjectorName]({"linear", "none"}),
    aggregations=frozenset[AggregationName]({"sum"}),
    balances=frozenset[BalanceName]({"frozen"}),
    many_to_one="no",
    projector="untrained",
    temperature=False,
    anneal=False,
    masks=False,
)
_IMPORTS = f"""{TORCH_IMPORTS}
from neural_compressor.config import DistillationConfig, IntermediateLayersKnowledgeDistillationLossConfig
from neural_compressor.training import prepare_compression
"""


def files(source: ExportSource, path: Path, schema: str) -> dict[Path, str]:
    """The builder."""
    recipe = source.recipe
    factors = multipliers(recipe, source.scales)
    scale = max([1.0, *factors])
    rows = [
        f"    ({literal(term.student)}, {literal(term.teachers[0])}, {factor / scale!r}),"
        for term, factor in zip(recipe.feature_terms, factors, strict=True)
    ]
    constants = [
        f"TASK_MULTIPLIER = {(1 - recipe.feature_share) * recipe.task_weight!r}",
        f"SCALE = {scale!r}  # what the weights are divided by: none may be larger than one",
        "# student layer, teacher layer, weight",
        *["PAIRS = [", *rows, "]"],
    ]
    fields = {
        "provenance": "\n".join(docstring_line(line) for line in source.provenance),
        "module": module_name(path),
        "constants": "\n".join(constants),
    }
    template = Path(__file__).with_name("neural_compressor_builder.py.tmpl")
    return {path: pasted(template, fields, with_helpers(feature_of), _IMPORTS)}


def lost(source: ExportSource) -> tuple[Lost, ...]:
    """What the target does not do by itself: bring features to one size, or project between equal widths."""
    return tuple(Lost(sentence, fatal=True) for sentence in _lost(source))


def _lost(source: ExportSource) -> Iterator[str]:
    recipe = source.recipe
    students, teachers = ({x.path: x for x in layers} for layers in (source.student, source.teacher))
    for term in recipe.feature_terms:
        s, t = students[term.student], teachers[term.teachers[0]]
        if (s.kind, s.positions) != (t.kind, t.positions):
            yield f"`{term.name}` differ in kind or positions, and the target brings no features to one size"
        if s.width == t.width and recipe.projector != "none" and LOSS_TRAITS[recipe.loss].projected:
            yield f"`{term.name}` have one width, and the target projects between different ones only"


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The loss of the manager that the file builds; its projections are made at once, not with the first batch."""
    names = executed(path)
    manager = names["build"](student, teacher)
    attached = AttachedManager(manager, names["total"])
    s_layers, t_layers = ({x.path: x for x in layers} for layers in (space.student, space.teacher))
    attached.make_projections(
        {s: (torch.zeros(1, *s_layers[s].shape), torch.zeros(1, *t_layers[t].shape)) for s, t, _ in names["PAIRS"]}
    )
    return attached


class AttachedManager(nn.Module):
    """Neural Compressor's manager as an `AttachedLoss`."""

    def __init__(self, manager: Any, total: Any) -> None:
        super().__init__()
        self.manager, self.total = manager, total
        self.criterion = manager.callbacks.callbacks_list[0].criterion
        manager.callbacks.on_train_begin()

    def make_projections(self, features: dict[str, tuple[Tensor, Tensor]]) -> None:
        """What the criterion makes of its first features, by student layer."""
        found = {path: self.criterion.init_feature_matcher(s, t) for path, (s, t) in features.items()}
        self.criterion.feature_matchers = found
        self.projections = nn.ModuleList(x for x in found.values() if isinstance(x, nn.Module))

    def forward(
        self,
        task_loss: Tensor,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        mask: Tensor | None = None,
        progress: float = 0.0,
    ) -> Tensor:
        """What the manager's callbacks give once both networks ran."""
        total: Tensor = self.total(self.manager, None, student_logits, task_loss, teacher_logits)
        return total

    def close(self) -> None:
        """Remove the hooks from both networks."""
        self.criterion.remove_all_hooks()


TARGET = Target(
    "a builder for Intel Neural Compressor up to 3.7, which lost distillation in 3.8: one-to-one pairs by MSE",
    CAPABILITY,
    files,
    load,
    lost,
    requires=("neural_compressor",),
    install='pip install neural-compressor==3.7 neural-compressor-pt six "setuptools<81"',
)
