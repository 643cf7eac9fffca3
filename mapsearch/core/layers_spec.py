"""The section `layers` of a study file."""

from typing import Annotated, Literal

from pydantic import Field

from mapsearch.core.layers import Kind
from mapsearch.core.section import Section, auto_or

Names = Annotated[
    Literal["auto"] | Annotated[tuple[str, ...], Field(min_length=1)], auto_or("a list of names and globs")
]


class LayersSpec(Section):
    """Which layers take part: `auto` (the repeated blocks of the trunk) or a list of names and globs."""

    teacher: Names = Field("auto", description="teacher layers: auto, or a list of names and globs")
    student: Names = Field("auto", description="student layers: auto, or a list of names and globs")
    kinds: dict[str, Kind] = Field(
        default_factory=dict,
        description="for layers whose kind is guessed wrong: name or glob -> vector, tokens or map",
    )
