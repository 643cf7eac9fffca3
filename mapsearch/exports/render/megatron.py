"""Target `megatron`: the distillation YAML of Megatron-LM and Megatron-Bridge, and taps for many-to-one beside it."""

from pathlib import Path
from typing import Any

from mapsearch.core.errors import ExportError
from mapsearch.core.mapping import Pair
from mapsearch.core.recipe import Recipe
from mapsearch.exports.capability import Capability, Unsupported
from mapsearch.exports.render.hugging_face import megatron_path, part_of
from mapsearch.exports.render.template import rendered
from mapsearch.exports.render.text_layout import comments, dumped_yaml, literal, module_name
from mapsearch.exports.source import ExportSource
from mapsearch.exports.target import Target

CAPABILITY = Capability(
    losses=frozenset({"cosine", "mse"}),
    output_losses=frozenset({"kl"}),
    projectors=frozenset({"linear", "none"}),
    aggregations=frozenset({"sum"}),
    balances=frozenset({"frozen"}),
    many_to_one="taps",
    weights="dropped",
    projector="shared",
    temperature=True,
    anneal=False,
    task_weight=True,
    masks=True,
    names="path",
    kinds=frozenset({"tokens"}),
    outputs="logits",
)
SCHEMAS = ("modelopt", "bridge", "nemo2", "next")
"""Megatron-LM's `--export-kd-cfg`; the same keys in Megatron-Bridge's overrides; NeMo 2, whose pairs are all cosine;
and ModelOpt's proposal of one `kd_loss_alpha` for `skip_lm_loss` and `kd_loss_scale`."""


def render(source: ExportSource, path: Path, schema: str) -> dict[Path, str]:
    """The YAML, and beside it the module of taps where a layer is in several pairs.

    Raises:
        ExportError: the schema cannot express the recipe's loss or temperature.
    """
    recipe = source.recipe
    if schema == "nemo2" and recipe.mapping.pairs and recipe.loss != "cosine":
        raise ExportError(f"schema `nemo2` only has the loss cosine, but got `{recipe.loss}`; choose --schema modelopt")
    if schema == "nemo2" and recipe.temperature != 1:
        raise ExportError(
            f"schema `nemo2` has no temperature, but got {recipe.temperature:g}; choose --schema modelopt"
        )
    taps = taps_path(path)
    texts = {path: _yaml(source, schema, taps.name)}
    if needs_taps(recipe):
        texts[taps] = _taps_module(source, taps.stem)
    return texts


def taps_path(path: Path) -> Path:
    """Where the module of taps is: beside the YAML, by a name that can be imported."""
    return path.with_name(f"{module_name(path)}_taps.py")


def needs_taps(recipe: Recipe) -> bool:
    """Whether the plugin cannot take the pairs as they are.

    It captures a layer once, and takes the first item of both outputs if the student's is a tuple, as
    those of whole layers are and those of norms and embeddings are not.
    """
    pairs = recipe.mapping.pairs
    sides = ([pair.student for pair in pairs], [pair.teacher for pair in pairs])
    return any(len(set(side)) < len(side) for side in sides) or any(
        _is_whole_layer(pair.student) != _is_whole_layer(pair.teacher) for pair in pairs
    )


def study_terms(recipe: Recipe) -> dict[str, float]:
    """What the study multiplies the losses by that Megatron reports, whose KL lacks the temperature^2."""
    rest = 1 - recipe.feature_share
    return {
        "lm_loss": rest * recipe.task_weight,
        "logits_loss": rest * recipe.output_weight * recipe.temperature**2 if recipe.uses_outputs else 0.0,
        "intermediate_loss": recipe.feature_share,
    }


def unsupported(source: ExportSource) -> tuple[Unsupported, ...]:
    """What the capability cannot say: layers without a name, and what the plugin always does."""
    recipe, missing = source.recipe, []
    for layer in (*source.student, *source.teacher):
        if megatron_path(layer.path) is None:
            missing.append(
                Unsupported(
                    f"layer `{layer.path}` has no name in Megatron, which has the embeddings, whole layers, their "
                    "`input_layernorm` and the final norm of Hugging Face decoders (Llama, GPT-2)",
                    fatal=True,
                )
            )
        elif layer.path.endswith(".input_layernorm"):
            missing.append(
                Unsupported(
                    f"layer `{layer.path}` outputs normalised features, but that module is empty in Megatron's "
                    "Transformer Engine layers"
                )
            )
    if not recipe.uses_outputs:
        missing.append(Unsupported("the logits are not matched, but the target always matches them"))
    if recipe.mapping.pairs and recipe.projector == "linear" and _one_width(source):
        missing.append(Unsupported("features of equal width are projected, but the target matches them directly"))
    terms = ", ".join(f"{value:.4g} {name}" for name, value in study_terms(recipe).items())
    missing.append(
        Unsupported(f"the study's loss is {terms}, but the target rescales all terms to one size at every step")
    )
    return tuple(missing)


def _yaml(source: ExportSource, schema: str, taps: str) -> str:
    recipe = source.recipe
    config: dict[str, Any] = {
        "logit_layers": ["output_layer", "output_layer"],
        "intermediate_layer_pairs": [
            _entry(pair, place, recipe, schema) for place, pair in enumerate(recipe.mapping.pairs)
        ],
        **_balance(recipe, schema),
        "logit_kl_temperature": recipe.temperature,
    }
    if schema == "nemo2":
        del config["logit_kl_temperature"]
    terms = " + ".join(f"{value!r} * {name}" for name, value in study_terms(recipe).items())
    header = [*source.provenance, f"loss of the study: {terms}"]
    if needs_taps(recipe):
        header.append(f"taps: `add_all_taps(student, teacher)` of {taps} must run before the networks are converted")
    data = {"model": {"kd_config": config}} if schema == "bridge" else config
    return comments(header) + dumped_yaml(data, default_flow_style=None)


def _entry(pair: Pair, place: int, recipe: Recipe, schema: str) -> list[str]:
    tap = f".tap{place}" if needs_taps(recipe) else ""
    entry = [f"{megatron_path(path)}{tap}" for path in (pair.student, pair.teacher)]
    return entry if schema == "nemo2" else [*entry, recipe.loss]


def _balance(recipe: Recipe, schema: str) -> dict[str, Any]:
    """The weight of the distillation losses relative to the task's; the sizes of the losses themselves do not count."""
    share = recipe.feature_share
    task = (1 - share) * recipe.task_weight
    distilled = share + (1 - share) * recipe.output_weight
    if schema == "next":
        return {"kd_loss_alpha": distilled / (task + distilled)}
    return {"skip_lm_loss": task == 0, "kd_loss_scale": distilled / task if task else 1.0}


def _taps_module(source: ExportSource, name: str) -> str:
    pairs = source.recipe.mapping.pairs
    student = "".join(f"    {literal(megatron_path(pair.student))},\n" for pair in pairs)
    teacher = "".join(f"    {literal(megatron_path(pair.teacher))},\n" for pair in pairs)
    return rendered("megatron_taps", source, name=name, student=student, teacher=teacher)


def _is_whole_layer(path: str) -> bool:
    part = part_of(path)
    return part is not None and part.name == "layer"


def _one_width(source: ExportSource) -> bool:
    return len({layer.width for layer in (*source.student, *source.teacher)}) == 1


TARGET = Target(
    "the distillation YAML of Megatron-LM and Megatron-Bridge; lossy",
    CAPABILITY,
    render,
    unsupported,
    requires=("modelopt", "megatron"),
    install="pip install nvidia-modelopt megatron-core requests huggingface_hub",
    schemas=SCHEMAS,
)
