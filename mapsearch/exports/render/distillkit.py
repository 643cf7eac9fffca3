"""Target `distillkit`: the run YAML of Arcee's DistillKit, layers named by their place among the hidden states."""

from collections.abc import Sequence
from typing import Any

from mapsearch.core.layers import Layer
from mapsearch.exports.capability import Capability, Unsupported
from mapsearch.exports.render.hugging_face import part_of
from mapsearch.exports.render.text_layout import comments, dumped_yaml
from mapsearch.exports.source import ExportSource, multipliers
from mapsearch.exports.target import Target, one_file

CAPABILITY = Capability(
    losses=frozenset({"cosine", "mse"}),
    output_losses=frozenset({"kl"}),
    projectors=frozenset({"linear", "none"}),
    aggregations=frozenset({"sum"}),
    balances=frozenset({"frozen"}),
    many_to_one="native",
    weights="normalised",
    projector="per pair",
    temperature=True,
    anneal=False,
    task_weight=True,
    masks=True,
    names="index",
    kinds=frozenset({"tokens"}),
    outputs="logits",
)
LAST = -1
"""The place of the last hidden state, whatever the network's depth."""


def hidden_state(path: str) -> int | None:
    """The place of a module's output among the hidden states, 0 for the embeddings; None: it is not among them."""
    part = part_of(path)
    if part is None:
        return None
    return {"embeddings": 0, "layer": part.index + 1, "norm": LAST}[part.name]


def unsupported(source: ExportSource) -> tuple[Unsupported, ...]:
    """What the capability cannot say: layers that are not hidden states, and projectors without a bias."""
    missing: list[Unsupported] = []
    for layers, known in ((source.student, source.student_paths), (source.teacher, source.teacher_paths)):
        missing += [Unsupported(problem, fatal=True) for layer in layers if (problem := _problem(layer, known))]
    if source.recipe.mapping.pairs and source.recipe.projector == "linear":
        missing.append(Unsupported("the projectors have a bias, but those of the target have none"))
    return tuple(missing)


def text(source: ExportSource) -> str:
    """The YAML text. Model, teacher, dataset and output path are the user's to fill in."""
    recipe = source.recipe
    data: dict[str, Any] = {
        "model": "./student",
        "teacher": {"kind": "hf", "path": "./teacher"},
        "dataset": {"train_dataset": {"disk_path": "./dataset"}},
        "output_path": "./distilled",
        "sequence_length": max((layer.shape[0] for layer in source.student), default=2048),
        "training_args": {"max_steps": source.n_steps},
        "loss_functions": _loss_functions(source),
    }
    if recipe.mapping.pairs:
        data["layer_mapping"] = [
            [hidden_state(pair.student), hidden_state(pair.teacher)] for pair in recipe.mapping.pairs
        ]
        data["force_hidden_state_projection"] = recipe.projector == "linear"
    of_study = "sequence_length and max_steps are" if source.student else "sequence_length too; max_steps is"
    header = [
        *source.provenance,
        f"fill in: model, teacher, dataset, output_path; {of_study} the study's",
        "layer_mapping counts hidden states: 0 is the embeddings, i + 1 is layer i, -1 is the final norm",
        "the loss is divided by the sum of the weights; tokens with a label below 0 are left out",
        "`distillation_projections` is saved inside the student: delete it from the checkpoint before use",
    ]
    return comments(header) + dumped_yaml(data, default_flow_style=None)


def _loss_functions(source: ExportSource) -> list[dict[str, Any]]:
    """The mean over pairs has the weight of their sum; what has no weight is left out."""
    recipe, rest = source.recipe, 1 - source.recipe.feature_share
    functions: list[dict[str, Any]] = [{"function": "cross_entropy", "weight": rest * recipe.task_weight}]
    if recipe.uses_outputs:
        functions.append({"function": "kl", "weight": rest * recipe.output_weight, "temperature": recipe.temperature})
    if recipe.mapping.pairs:
        weight = sum(multipliers(recipe, source.scales))
        functions.append({"function": f"hs_{recipe.loss}", "weight": weight})
    return [function for function in functions if function["weight"] > 0]


def _problem(layer: Layer, known: Sequence[str]) -> str:
    """Why the layer's output is not among the hidden states, or nothing."""
    part = part_of(layer.path)
    if part is None:
        return (
            f"layer `{layer.path}` is not among the hidden states of a Hugging Face model, which are the embeddings, "
            "the whole layers and the final norm"
        )
    if part.name != "layer" or not part.final_norm:
        return ""
    others = [other for path in known if (other := part_of(path)) and other.name == "layer"]
    if any(other.index > part.index for other in others):
        return ""
    return (
        f"layer `{layer.path}` is the deepest that the study knows, but the last hidden state is the output of the "
        "final norm after it; map the norm, or name a deeper layer in the study's `layers`"
    )


TARGET = Target(
    "the run YAML of Arcee's DistillKit; lossy",
    CAPABILITY,
    one_file(text),
    unsupported,
    requires=("distillkit",),
    install="pip install ./DistillKit (a checkout of arcee-ai/DistillKit)",
)
