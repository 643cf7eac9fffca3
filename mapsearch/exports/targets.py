"""The table of export targets."""

from pathlib import Path

from mapsearch.core.errors import ExportError, did_you_mean
from mapsearch.exports.capability import FROZEN_BALANCE, Capability, Unsupported
from mapsearch.exports.names import TargetName
from mapsearch.exports.render import mapsearch_yaml, torchdistill
from mapsearch.exports.render.template import rendered
from mapsearch.exports.source import ExportSource
from mapsearch.exports.target import Render, Target


def from_template(name: str) -> Render:
    """The `render` of a target that is one Python file."""

    def render(source: ExportSource, path: Path) -> dict[Path, str]:
        return {path: rendered(name, source, path)}

    return render


def not_in_scripts(source: ExportSource) -> tuple[Unsupported, ...]:
    """What scripts for whole trainers do otherwise than the study."""
    ema = source.settings.train.ema
    if ema is None:
        return ()
    return (Unsupported(f"`train.ema: {ema:g}` measures an average of the weights, but the target the weights"),)


TARGETS: dict[TargetName, Target] = {
    "mapsearch": mapsearch_yaml.TARGET,
    "torch": Target(
        "a plain PyTorch module for any training loop; it needs nothing but torch",
        Capability(balances=FROZEN_BALANCE),
        from_template("torch"),
    ),
    "transformers": Target(
        "a script for the Trainer of Hugging Face that trains as the study did",
        Capability(balances=FROZEN_BALANCE),
        from_template("transformers"),
        not_in_scripts,
        requires={"transformers": "transformers==5.23.0", "accelerate": "accelerate==1.15.0"},
    ),
    "lightning": Target(
        "a script for Lightning that trains as the study did",
        Capability(balances=FROZEN_BALANCE),
        from_template("lightning"),
        not_in_scripts,
        requires={"lightning": "lightning==2.6.6"},
    ),
    "torchdistill": torchdistill.TARGET,
    "modelopt": Target(
        "a builder for NVIDIA ModelOpt's distillation model",
        Capability(balances=FROZEN_BALANCE, outputs="logits"),
        from_template("modelopt"),
        requires={
            "modelopt": "nvidia-modelopt==0.47.0",
            "requests": "requests==2.34.2",  # ModelOpt imports it without saying so
            "huggingface_hub": "huggingface_hub==2.4.0",  # and this
        },
    ),
}


def target_named(name: str) -> tuple[TargetName, Target]:
    """The target of that name, and the name as one of the table's.

    Raises:
        ExportError: there is none.
    """
    for known, target in TARGETS.items():
        if known == name:
            return known, target
    raise ExportError(f"unknown target `{name}`{did_you_mean(name, list(TARGETS))}; known: {', '.join(TARGETS)}")
