"""Target `modelopt`: a Python builder for NVIDIA ModelOpt's distillation model, which needs nothing of ours."""

from dataclasses import replace

from mapsearch.core.recipe import BalanceName
from mapsearch.exports.capability import EVERYTHING
from mapsearch.exports.render.template import rendered
from mapsearch.exports.source import ExportSource
from mapsearch.exports.target import Target, one_file


def text(source: ExportSource) -> str:
    """A module with `build` and `finish`.

    Every term has an alias of its layers: ModelOpt keeps one output per layer and drops it once the first pair has
    read it, and it keeps no copy of an output that is later overwritten in place.
    """
    return rendered("modelopt", source)


TARGET = Target(
    "a builder for NVIDIA ModelOpt's distillation model",
    replace(
        EVERYTHING, balances=frozenset[BalanceName]({"frozen"}), many_to_one="taps", outputs="logits", addresses=False
    ),
    one_file(text),
    requires=("modelopt", "requests", "huggingface_hub"),
    install="pip install nvidia-modelopt requests huggingface_hub",
)
