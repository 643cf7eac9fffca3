"""Target `silverspoon`: a Python builder for SilverSpoon-KD's distiller, which needs nothing of ours."""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Self

import torch
from torch import Tensor, nn

from mapsearch.core.recipe import BalanceName, Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.exports.aliases import Aliases
from mapsearch.exports.attached import AttachedLoss, term_parameters
from mapsearch.exports.capability import EVERYTHING, Lost
from mapsearch.exports.constants import anneal_line, term_lines
from mapsearch.exports.feature_terms import logits_of
from mapsearch.exports.layout import docstring_line
from mapsearch.exports.pasted import Part, executed, pasted, term_parts
from mapsearch.exports.source import ExportSource
from mapsearch.exports.target import Target, one_file
from mapsearch.losses.recipe_loss import LOGIT_LOSSES

_IMPORTS = """
import torch
import torch.nn.functional as F
from silverspoon_kd import Alignment, HolisticDistiller, TrainingArguments
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.hooks import RemovableHandle
from transformers import TrainerCallback
"""
_FEATURE_LINES = """\
    aliases = [
        Aliases("student", student, [[layer] for layer, *_ in TERMS]),
        Aliases("teacher", teacher, [layers for _, layers, *_ in TERMS]),
    ]
    hooks += aliases
    for i, (layer, _, weight, arguments) in enumerate(TERMS):
        taught = Taught(layer, $term($loss, **arguments), padding)
        alignments.append(
            Alignment(
                aliases[1].aliases[i],
                aliases[0].aliases[i],
                student_module_name=f"{layer}, term {i}",
                student_output_selector=as_it_is,
                output_projector=taught,
                loss_function=taught.loss,
                loss_weight=weight,
            )
        )
    fading = [Fading(alignments)]
"""
_LOGIT_LINES = """\
    alignments.append(
        Alignment(
            teacher,
            student,
            student_module_name="logits",
            teacher_output_selector=logits_of,
            student_output_selector=logits_of,
            loss_function=lambda student, teacher: $logit_loss(student, teacher, TEMPERATURE, padding.mask),
            loss_weight=LOGIT_WEIGHT,
        )
    )
"""
_FEATURE_CLASSES = '''

class Taught(nn.Module):
    """A feature term as an alignment wants it.

    As output projector it passes the student's feature on, so that the distiller trains and saves what the term
    learns; the loss then takes it with what it is to be matched with.
    """

    def __init__(self, layer: str, term: nn.Module, padding: Padding) -> None:
        super().__init__()
        self.layer, self.term, self.padding = layer, term, padding

    def forward(self, student: Any) -> Any:
        """The student's feature as it is."""
        return student

    def loss(self, student: Sequence[Tensor], teachers: Sequence[Tensor]) -> Tensor:
        """The raw loss of the batch both networks have just seen."""
        require_gradient({self.layer: student[0]})
        return self.term(student[0], teachers, self.padding.mask)


class Fading(TrainerCallback):
    """Lets the feature part fade to zero."""

    def __init__(self, alignments: Sequence[Alignment]) -> None:
        self.weights = [(alignment, alignment.loss_weight) for alignment in alignments]

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Set the weights of the step."""
        self.set(state.global_step / state.max_steps)

    def set(self, progress: float) -> None:
        """Set the weights at a fraction of the training."""
        for alignment, weight in self.weights:
            alignment.loss_weight = weight * fade(ANNEAL, progress)


def as_it_is(output: Any) -> Any:
    """What an alias repeats."""
    return output
'''


def render(source: ExportSource) -> str:
    """The Python text: the mapping as constants, `build` and `finish`, and of our code just what this recipe uses.

    Alignments are made between aliases of layers, because SilverSpoon keeps no copy of a teacher's feature that is
    overwritten in place.
    """
    recipe, paired = source.recipe, bool(source.recipe.mapping.pairs)
    term = "FeatureTerm" if recipe.aggregation == "sum" else "MixedTerm"
    lines = _FEATURE_LINES * paired + "    fading = []\n" * (not paired) + _LOGIT_LINES * recipe.uses_logits
    lines = lines.replace("$term", term).replace("$loss", recipe.loss)
    fields = {
        "provenance": "\n".join(docstring_line(line) for line in source.provenance),
        "constants": _constants(source),
        "formula": _formula(recipe),
        "n_steps": str(source.n_steps),
        "alignments": lines.replace("$logit_loss", LOGIT_LOSSES[recipe.logit_loss].__name__),
        "classes": _FEATURE_CLASSES * paired,
    }
    parts: list[Part] = [Aliases] if paired else []
    parts += [logits_of] if recipe.uses_logits else []
    return pasted(Path(__file__).with_suffix(".py.tmpl"), fields, parts + term_parts(recipe), _IMPORTS)


def lost(source: ExportSource) -> tuple[Lost, ...]:
    """What the capability cannot say: a distiller without an alignment."""
    if source.recipe.uses_teacher:
        return ()
    return (Lost("nothing is taught, and the target needs a feature or the logits to match", fatal=True),)


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The distiller that the file builds; SilverSpoon itself computes the loss."""
    return _Distiller(executed(path), student, teacher)


class _Distiller:
    """A distiller behind our interface: the networks are run by others, and what it caught is compared afterwards."""

    def __init__(self, names: dict[str, Any], student: nn.Module, teacher: nn.Module) -> None:
        on_cpu = next(student.parameters()).device.type == "cpu"
        args = import_module("silverspoon_kd").TrainingArguments(gettempdir(), max_steps=1, use_cpu=on_cpu)
        self.names, self.distiller = names, names["build"](student, teacher, args=args)
        self.distiller._register_capture()

    def __call__(
        self,
        task_loss: Tensor,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        mask: Tensor | None = None,
        progress: float = 0.0,
    ) -> Tensor:
        distiller, alpha = self.distiller, self.distiller.args.alpha
        for callback in distiller.callback_handler.callbacks:
            if type(callback).__name__ == "Fading":
                callback.set(progress)
        taught = distiller._compute_alignment_losses(
            distiller.teacher_capture, distiller.student_capture, distiller.alignment_id_to_module_id
        )
        total: Tensor = distiller._combine_losses(
            {"alignment": taught, "hard": task_loss}, {"alignment": 1 - alpha, "hard": alpha}, track_metrics=False
        )
        scale: float = self.names["SCALE"]
        return scale * total

    def parameters(self) -> Iterator[nn.Parameter]:
        projectors = [alignment.output_projector for alignment in self.distiller.alignments]
        return term_parameters([taught.term for taught in projectors if taught is not None])

    def to(self, device: torch.device) -> Self:
        return self

    def close(self) -> None:
        self.distiller._deregister_capture()
        self.names["finish"](self.distiller)


def _constants(source: ExportSource) -> str:
    """The task's part of the total is ALPHA, below one; where the study's is not, the total is scaled."""
    recipe, rest = source.recipe, 1 - source.recipe.feature_share
    task = rest * recipe.task_weight
    scale = 1.0 if task < 1 else 1 + task
    alpha = task / scale
    lines = [f"ALPHA = {alpha!r}  # the task's part of the total", f"SCALE = {scale!r}"]
    if recipe.uses_logits:
        lines += [f"LOGIT_WEIGHT = {rest * recipe.logit_weight / scale / (1 - alpha)!r}"]
        lines += [f"TEMPERATURE = {recipe.temperature!r}"]
    if recipe.mapping.pairs:
        lines += [anneal_line(recipe), "", *term_lines(source, "weight", scale * (1 - alpha))]
    return "\n".join(lines)


def _formula(recipe: Recipe) -> str:
    parts = ["ALPHA * task"]
    if recipe.uses_logits:
        parts.append(f"(1 - ALPHA) * LOGIT_WEIGHT * {LOGIT_LOSSES[recipe.logit_loss].__name__}")
    if recipe.mapping.pairs:
        parts.append(f"(1 - ALPHA) * fade * sum weight * {recipe.loss}")
    return " + ".join(parts)


TARGET = Target(
    "a builder for SilverSpoon-KD's holistic distiller",
    replace(EVERYTHING, balances=frozenset[BalanceName]({"frozen"})),
    one_file(render),
    load,
    lost,
    requires=("silverspoon_kd",),
    install="pip install silverspoon-kd",
)
