"""The model card of a trained student, as Markdown."""

from collections.abc import Mapping, Sequence

from mapsearch.core.recipe import Recipe
from mapsearch.core.text import printable
from mapsearch.core.trained import TrainReport
from mapsearch.core.training_settings import TrainingSettings
from mapsearch.report.mapping_text import mapping_lines

Metrics = Mapping[str, Mapping[str, float | None]]

LOAD = """import torch
from safetensors.torch import load_model

student = ...  # as `student()` of the task builds it
load_model(student, "student.safetensors")  # strictly: every weight of the student, and nothing else"""

LOAD_HUGGING_FACE = """from transformers import AutoModel  # or the class of the student

student = AutoModel.from_pretrained(".")  # this folder"""


def model_card(
    report: TrainReport,
    recipe: Recipe,
    settings: TrainingSettings,
    verdict: str,
    *,
    is_hugging_face: bool = False,
    picture: str = "",
) -> str:
    """What the student is, what was measured and how it was trained.

    Args:
        verdict: the study's, a sentence.
        picture: the file with its curves; empty where there is none.
    """
    front = ["library_name: transformers"] if is_hugging_face else []
    blocks = [
        ["---", *front, "tags: [knowledge-distillation, mapsearch]", "---"],
        [f"# Student of {_code(report.training['study'])}, trial {report.training['trial']}"],
        [f"Distilled by mapsearch, from teacher to student: {_code(str(recipe))}."],
        ["```", *mapping_lines(recipe.mapping), "```"] if recipe.mapping.pairs else [],
        [f"Verdict of the study: {printable(verdict)}."],
        [f"Margin, the difference that did not matter: {settings.margin:g}."] if settings.margin else [],
        ["## Measured"],
        _metrics(report.metrics, report.teacher),
        [f"The study compared {_code(report.metric)} ({settings.direction}). Weights of step {report.kept_step}."],
        [f"![loss and metric]({picture})"] if picture else [],
        ["## Trained"],
        _rows([*report.training.items(), *report.environment.items(), ("seconds", f"{report.seconds:.0f}")]),
        ["`recipe.yaml` trains it again: `mapsearch train recipe.yaml -o DIR`."],
        ["## Use"],
        ["```python", *(LOAD_HUGGING_FACE if is_hugging_face else LOAD).splitlines(), "```"],
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n"


def _metrics(student: Metrics, teacher: Metrics) -> list[str]:
    columns = [
        (f"{network}, {data}", found[data])
        for network, found in (("student", student), ("teacher", teacher))
        for data in found
    ]
    names = sorted({name for _, metrics in columns for name in metrics})
    head = ["metric", *(title for title, _ in columns)]
    return _table(head, [[_code(name), *(_number(metrics.get(name)) for _, metrics in columns)] for name in names])


def _rows(items: Sequence[tuple[str, object]]) -> list[str]:
    return _table(["", ""], [[printable(key), _code(str(value))] for key, value in items if value not in ("", None)])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _code(text: str) -> str:
    """As code, in a table too: nothing in it is Markdown."""
    return f"`{printable(text).replace('`', chr(39)).replace('|', '/')}`"
