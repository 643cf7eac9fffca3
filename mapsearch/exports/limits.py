"""What targets cannot express: each limit says in a sentence what a trial has of it, and is silent about the others."""

from collections.abc import Callable
from dataclasses import dataclass

from mapsearch.exports.source import ExportSource


@dataclass(frozen=True)
class Limit:
    """One thing that a target cannot express.

    `about` names it in lists. `sentence` says what a trial uses of it and what the target does instead, or is empty.
    `fatal`: the file would not run, or would be another method; it is refused even with `--lossy`.
    """

    about: str
    sentence: Callable[[ExportSource], str]
    fatal: bool = False


def _matches_nothing(source: ExportSource) -> str:
    recipe = source.recipe
    matches = recipe.mapping.pairs or recipe.uses_outputs
    return "" if matches else "it learns from the labels alone, so that there is nothing to distil"


def _changes_weights(source: ExportSource) -> str:
    if source.recipe.balance == "frozen":
        return ""
    changes = f"`balance: {source.recipe.balance}` changes the weights of the terms during training"
    return f"{changes}, but in the target they keep their initial values"


def _changes_outputs(source: ExportSource) -> str:
    form = source.outputs.form
    if not source.recipe.uses_outputs or form in ("", "labels"):
        return ""
    return f"outputs are not matched as the network gives them ({form}), but the target does"


def _has_two_masks(source: ExportSource) -> str:
    if not (source.recipe.mapping.pairs and source.outputs.from_decoder):
        return ""
    return "encoder and decoder have a mask of padding each, but the target has one for all layers"


def _measures_an_average(source: ExportSource) -> str:
    ema = source.settings.train.ema
    return f"`train.ema: {ema:g}` measures an average of the weights, but the target the weights" if ema else ""


def _has_another_task_loss(source: ExportSource) -> str:
    outputs = source.outputs
    if not source.recipe.uses_task or (outputs.kind == "classes" and not outputs.next_token):
        return ""
    kind = "the next token's" if outputs.next_token else f"that of {outputs.kind}"
    way_out = "but `extract_task_loss` of the plugin is cross entropy: put the task's loss there"
    return f"the task's loss is {kind}, {way_out}"


MATCHES_NOTHING = Limit("a recipe that matches nothing", _matches_nothing, fatal=True)
CHANGES_WEIGHTS = Limit("balances other than `frozen`", _changes_weights)
CHANGES_OUTPUTS = Limit(
    "matching outputs that are values, an embedding or on another axis than the last", _changes_outputs, fatal=True
)
HAS_TWO_MASKS = Limit("a mask each for encoder and decoder", _has_two_masks, fatal=True)
MEASURES_AN_AVERAGE = Limit("an average of the weights (`train.ema`)", _measures_an_average)
HAS_ANOTHER_TASK_LOSS = Limit("a task's loss other than cross entropy", _has_another_task_loss)
