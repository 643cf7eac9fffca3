"""The sections `search` and `confirm` of a study file."""

from typing import Literal

from pydantic import Field, field_validator

from mapsearch.core.section import Section, Share

SamplerName = Literal["model", "random"]


class SearchSpec(Section):
    """How much is tried before anything is confirmed."""

    trials: int = Field(
        40, ge=1, description="number of recipes to propose, besides the controls; unset, the budget decides"
    )
    seeds: int = Field(1, ge=1, description="runs of each proposal at the first rung")
    sampler: SamplerName = Field(
        "model", description="what proposes recipes: a model of what mappings are worth, or chance (docs/search.md)"
    )
    rungs: tuple[Share, Share, Share] = Field(
        (0.15, 0.4, 1.0), description="fractions of train.steps: search, tune and shortlist, confirm"
    )
    batch: int = Field(8, ge=1, description="number of proposals asked for at once")
    noise_seeds: int = Field(3, ge=2, description="seeds per control when seed noise is measured")
    when_flat: Literal["continue", "stop"] = Field(
        "continue", description="stop: skip the search when mappings do not differ beyond seed noise"
    )

    @field_validator("rungs")
    @classmethod
    def _climbs(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if not value[0] < value[1] < value[2] == 1.0:
            raise ValueError(f"must be three rising fractions, the last of them 1.0, but got {list(value)}")
        return value


class ConfirmSpec(Section):
    """How the winner is chosen and proven."""

    finalists: int = Field(
        3, ge=1, description="recipes that run the full schedule before one of them is nominated, on validation data"
    )
    seeds: int = Field(
        14,
        ge=2,
        le=100,
        description="most fresh seeds per question, raised to the next look (4, 6, 8, 11, 14, 18, 23, 30, ...); a "
        "question that is answered, or will not be, stops earlier",
    )
    context_seeds: int = Field(
        2, ge=0, le=4, description="fresh seeds of the controls that no question is about: a mean without a verdict"
    )
