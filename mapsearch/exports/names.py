"""The names of the export targets: all that a command line needs to know of them beforehand."""

from typing import Literal

TargetName = Literal[
    "mapsearch",
    "torch",
    "transformers",
    "lightning",
    "torchdistill",
    "modelopt",
]
