"""Target `modelopt`: a Python builder for NVIDIA ModelOpt's distillation model, which needs nothing of ours."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from mapsearch.core.recipe import BalanceName, Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.exports.aliases import Aliases
from mapsearch.exports.attached import AttachedLoss, term_parameters
from mapsearch.exports.capability import EVERYTHING
from mapsearch.exports.constants import anneal_line, multiplier_lines, term_lines
from mapsearch.exports.feature_terms import logits_of
from mapsearch.exports.layout import docstring_line
from mapsearch.exports.pasted import Part, executed, pasted, term_parts
from mapsearch.exports.source import ExportSource
from mapsearch.exports.target import Target, one_file
from mapsearch.losses.recipe_loss import LOGIT_LOSSES

_IMPORTS = """
import modelopt.torch.distill as mtd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.loss import _Loss
from torch.utils.checkpoint import checkpoint
from torch.utils.hooks import RemovableHandle
"""
_FEATURE_CLASS = '''

class FeatureLoss(_Loss):
    """A feature term between what two aliases repeat; it fades to zero."""

    def __init__(self, layer: str, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.layer, self.term = layer, $term($loss, **arguments)

    def forward(
        self, student: Sequence[Tensor], teachers: Sequence[Tensor], mask: Tensor | None = None, progress: float = 0.0
    ) -> Tensor:
        """The loss of the batch both networks have just seen."""
        require_gradient({self.layer: student[0]})
        return fade(ANNEAL, progress) * self.term(student[0], teachers, mask)
'''
_LOGIT_CLASS = '''

class LogitLoss(_Loss):
    """The loss between the outputs of both networks."""

    def forward(self, student: Any, teacher: Any, mask: Tensor | None = None, progress: float = 0.0) -> Tensor:
        """It does not fade."""
        return $logit_loss(logits_of(student), logits_of(teacher), TEMPERATURE, mask)
'''
_LOGIT_LINES = """\
    criterion["", ""] = LogitLoss()
    multipliers.append(LOGIT_MULTIPLIER)
"""
_FEATURE_LINES = """\
    student.aliases = Aliases("student", student, [[layer] for layer, *_ in TERMS])
    teacher.aliases = Aliases("teacher", teacher, [layers for _, layers, *_ in TERMS])
    for i, (layer, _, multiplier, arguments) in enumerate(TERMS):
        criterion[f"aliases.aliases.{i}", f"aliases.aliases.{i}"] = FeatureLoss(layer, arguments)
        multipliers.append(multiplier)
"""
_FINISH_LINES = """\
    for network in (model, model.teacher_model):
        network.aliases.remove()
        del network.aliases
"""


def render(source: ExportSource) -> str:
    """The Python text: the mapping as constants, `build` and `finish`, and of our code just what this recipe uses.

    Every term has an alias of its layers, because ModelOpt keeps one output per layer and drops it when the first
    pair has read it, and because it keeps no copy of what is overwritten in place.
    """
    recipe, paired = source.recipe, bool(source.recipe.mapping.pairs)
    logit_loss = LOGIT_LOSSES[recipe.logit_loss].__name__
    term = "FeatureTerm" if recipe.aggregation == "sum" else "MixedTerm"
    classes = (_LOGIT_CLASS * recipe.uses_logits + _FEATURE_CLASS * paired).replace("$logit_loss", logit_loss)
    fields = {
        "provenance": "\n".join(docstring_line(line) for line in source.provenance),
        "constants": _constants(source),
        "formula": _formula(recipe),
        "mask": "mask=mask, " if any(x.kind == "tokens" for x in (*source.student, *source.teacher)) else "",
        "criterion": _LOGIT_LINES * recipe.uses_logits + _FEATURE_LINES * paired,
        "finish": _FINISH_LINES * paired,
        "classes": classes.replace("$term", term).replace("$loss", recipe.loss),
    }
    parts: list[Part] = [Aliases] if paired else []
    parts += [logits_of] if recipe.uses_logits else []
    return pasted(Path(__file__).with_suffix(".py.tmpl"), fields, parts + term_parts(recipe), _IMPORTS)


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The student converted by the file; ModelOpt itself computes the loss."""
    names = executed(path)
    return _Converted(names["build"](student, teacher), names["finish"])


class _Converted:
    """A distillation model behind our interface: the teacher is run by whoever runs the student."""

    def __init__(self, model: Any, finish: Any) -> None:
        self.model, self.finish, self.alone = model, finish, ExitStack()
        self.alone.enter_context(model.only_student_forward())

    def __call__(
        self,
        task_loss: Tensor,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        mask: Tensor | None = None,
        progress: float = 0.0,
    ) -> Tensor:
        total: Tensor = self.model.compute_kd_loss(student_loss=task_loss, mask=mask, progress=progress)
        return total

    def parameters(self) -> Iterator[nn.Parameter]:
        return term_parameters([loss.term for loss in self.model.loss_modules])

    def to(self, device: torch.device) -> Self:
        self.model.loss_modules.to(device)
        return self

    def close(self) -> None:
        self.alone.close()
        self.finish(self.model)


def _constants(source: ExportSource) -> str:
    lines = [*multiplier_lines(source.recipe)]
    if source.recipe.mapping.pairs:
        lines += [anneal_line(source.recipe), "", *term_lines(source)]
    return "\n".join(lines)


def _formula(recipe: Recipe) -> str:
    formula = "TASK_MULTIPLIER * student_loss"
    if recipe.uses_logits:
        formula += f" + LOGIT_MULTIPLIER * {LOGIT_LOSSES[recipe.logit_loss].__name__}"
    return formula + (f" + fade * sum multiplier * {recipe.loss}" if recipe.mapping.pairs else "")


TARGET = Target(
    "a builder for NVIDIA ModelOpt's distillation model",
    replace(EVERYTHING, balances=frozenset[BalanceName]({"frozen"}), many_to_one="taps"),
    one_file(render),
    load,
    requires=("modelopt", "requests", "huggingface_hub"),
    install="pip install nvidia-modelopt requests huggingface_hub",
)
