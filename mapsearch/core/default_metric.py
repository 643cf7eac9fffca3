"""The metric and the direction of a study whose file states none: they follow the kind of the task's outputs."""

from typing import Literal

from mapsearch.core.outputs import OutputKind, Outputs
from mapsearch.core.spec import StudySpec

DEFAULT_METRICS: dict[OutputKind, tuple[str, Literal["maximize", "minimize"]]] = {
    "classes": ("accuracy", "maximize"),
    "labels": ("f1_micro", "maximize"),
    "values": ("rmse", "minimize"),
    "embedding": ("cosine", "maximize"),
    "none": ("accuracy", "maximize"),
}
ACROSS_WIDTHS = "spearman"
"""What embeddings of two widths are compared by: a cosine needs one."""


def with_default_metric(spec: StudySpec, outputs: Outputs) -> StudySpec:
    """The study with the metric and direction that such outputs have by default; as it is where its file states one."""
    if "metric" in spec.model_fields_set:
        return spec
    metric, direction = DEFAULT_METRICS[outputs.kind]
    if outputs.kind == "embedding" and not outputs.same_width:
        metric = ACROSS_WIDTHS
    stated = {"direction": spec.direction} if "direction" in spec.model_fields_set else {"direction": direction}
    return spec.model_copy(update={"metric": metric, **stated})
