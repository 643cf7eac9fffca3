"""Outputs that are one number for each token, `[B, L]`, told from as many labels or values of each sample."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mapsearch.core.masks import OUTPUTS, mask_for
from mapsearch.core.outputs import Outputs
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.output_evidence import Evidence
from mapsearch.tasks.outputs import float_outputs
from mapsearch.tasks.precision import Precision, forward_in
from mapsearch.tasks.task import inputs_of


def is_per_token(loaded: LoadedTask, precision: Precision, evidence: Evidence, form: Outputs) -> bool:
    """Whether the teacher outputs one number less of each sample that is cut by one token, as ELECTRA's detector does.

    Only asked where there are as many numbers as the mask has tokens.
    """
    shape, mask = list(evidence.outputs.shape), mask_for(loaded.task.mask(evidence.batch), OUTPUTS)
    if form.kind not in ("labels", "values") or not isinstance(mask, Tensor) or list(mask.shape) != shape:
        return False
    try:
        shorter = _shortened(inputs_of(evidence.batch), shape)
        outputs = float_outputs(loaded.task, forward_in(precision, loaded)(loaded.teacher, shorter))
    except Exception:  # made for one length only: then it has so many outputs whatever it reads
        return False
    return list(outputs.shape) == [shape[0], shape[1] - 1]


def _shortened(inputs: Any, shape: list[int]) -> Any:
    """The inputs without their last token."""
    if not isinstance(inputs, Mapping):
        return inputs[:, :-1]
    is_token = {key: isinstance(x, Tensor) and list(x.shape[:2]) == shape for key, x in inputs.items()}
    return {key: x[:, :-1] if is_token[key] else x for key, x in inputs.items()}
