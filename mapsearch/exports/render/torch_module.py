"""Target `torch`: one readable PyTorch file that needs nothing but torch."""

from dataclasses import replace

from mapsearch.core.recipe import BalanceName
from mapsearch.exports.capability import EVERYTHING
from mapsearch.exports.render.template import rendered
from mapsearch.exports.source import ExportSource
from mapsearch.exports.target import Target, one_file


def text(source: ExportSource) -> str:
    """A module with a `DistillationLoss`.

    A learned mixture starts from the recipe's weights and learns again, as in the confirmed run; the averaged
    weights of that run are in the header for those who want them fixed.
    """
    return rendered("torch_module", source)


TARGET = Target(
    "a plain PyTorch module for any training loop; it needs nothing but torch",
    replace(EVERYTHING, balances=frozenset[BalanceName]({"frozen"})),
    one_file(text),
)
