"""The table of export targets."""

from mapsearch.core.errors import ExportError, did_you_mean
from mapsearch.exports import limits
from mapsearch.exports.render import mapsearch_yaml, torchdistill
from mapsearch.exports.render.template import rendered
from mapsearch.exports.target import Render, Target


def from_template(name: str) -> Render:
    """The `render` of a target that is one Python file."""
    return lambda source, path: {path: rendered(name, source, path)}


YAML = (".yaml", ".yml")
PROGRAM = (limits.MATCHES_NOTHING, limits.CHANGES_WEIGHTS)
"""What no program expresses."""

TARGETS: dict[str, Target] = {
    "mapsearch": Target(
        "canonical YAML: the recipe with its frozen scales, and how it was trained",
        lambda source, path: {path: mapsearch_yaml.text(source, path.parent)},
        suffixes=YAML,
    ),
    "torch": Target(
        "a plain PyTorch module for any training loop; it needs nothing but torch",
        from_template("torch"),
        PROGRAM,
    ),
    "transformers": Target(
        "a script for the Trainer of Hugging Face that trains as the study did",
        from_template("transformers"),
        (*PROGRAM, limits.MEASURES_AN_AVERAGE),
        requires={"transformers": "transformers==5.23.0", "accelerate": "accelerate==1.15.0"},
    ),
    "lightning": Target(
        "a script for Lightning that trains as the study did",
        from_template("lightning"),
        (*PROGRAM, limits.MEASURES_AN_AVERAGE),
        requires={"lightning": "lightning==2.6.6"},
    ),
    "torchdistill": Target(
        "a torchdistill config, and a plugin module beside it with the mapping",
        torchdistill.render,
        (*PROGRAM, limits.HAS_TWO_MASKS, limits.CHANGES_OUTPUTS, limits.HAS_ANOTHER_TASK_LOSS),
        requires={"torchdistill": "torchdistill==1.1.5", "torchvision": "torchvision==0.28.0"},
        suffixes=YAML,
    ),
    "modelopt": Target(
        "a builder for NVIDIA ModelOpt's distillation model",
        from_template("modelopt"),
        (*PROGRAM, limits.CHANGES_OUTPUTS),
        requires={
            "modelopt": "nvidia-modelopt==0.47.0",
            "requests": "requests==2.34.2",  # ModelOpt imports it without saying so
            "huggingface_hub": "huggingface_hub==2.4.0",  # and this
        },
    ),
}


def target_named(name: str) -> Target:
    """The target of that name.

    Raises:
        ExportError: there is none.
    """
    if name not in TARGETS:
        raise ExportError(f"unknown target `{name}`{did_you_mean(name, list(TARGETS))}; known: {', '.join(TARGETS)}")
    return TARGETS[name]
