"""The table of export targets."""

from mapsearch.core.errors import ExportError, did_you_mean
from mapsearch.exports.capability import TargetName
from mapsearch.exports.render import distillkit, mapsearch_yaml, megatron, modelopt, torch_module, torchdistill
from mapsearch.exports.target import Target

TARGETS: dict[TargetName, Target] = {
    "mapsearch": mapsearch_yaml.TARGET,
    "torch": torch_module.TARGET,
    "torchdistill": torchdistill.TARGET,
    "modelopt": modelopt.TARGET,
    "megatron": megatron.TARGET,
    "distillkit": distillkit.TARGET,
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
