"""The section `space` of a study file."""

from typing import Annotated

from pydantic import Field, field_validator

from mapsearch.core.recipe import AggregationName, BalanceName, FeatureLossName, OutputLossName, ProjectorName, ShareOf
from mapsearch.core.section import Section, Share

Range = tuple[float, float]
Fraction = Annotated[float, Field(ge=0, le=1)]


class SpaceSpec(Section):
    """What may vary. A range is `[low, high]`, a choice is a list."""

    loss: Annotated[tuple[FeatureLossName, ...], Field(min_length=1)] = Field(
        ("nmse", "cosine"), description="feature losses to choose from"
    )
    projector: Annotated[tuple[ProjectorName, ...], Field(min_length=1)] = Field(
        ("linear",), description="projectors from student to teacher features to choose from"
    )
    aggregation: Annotated[tuple[AggregationName, ...], Field(min_length=1)] = Field(
        ("sum",), description="how several teacher layers teach one student layer, to choose from"
    )
    balance: Annotated[tuple[BalanceName, ...], Field(min_length=1)] = Field(
        ("frozen",), description="how the terms of the loss are balanced, to choose from"
    )
    feature_share: Range = Field((0.1, 0.9), description="range of the share of the total loss given to the features")
    share_of: ShareOf = Field(
        "loss",
        description="what the feature share is a share of: the loss, or the gradient at the student's parameters as "
        "measured at the start",
    )
    anneal: Annotated[tuple[Share | None, ...], Field(min_length=1)] = Field(
        (0.5, 1.0),
        description="fractions of the training at whose end the feature share has faded to zero, to choose from; null: "
        "it never fades",
    )
    output_loss: tuple[OutputLossName, ...] = Field(
        (),
        description="output losses to try; tuned without features, then frozen; default: those that fit the outputs",
    )
    output_weight: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = Field(
        (0.3, 1.0, 3.0), description="weights of the output loss to try; tuned without features, then frozen"
    )
    temperature: Annotated[tuple[Annotated[float, Field(gt=0, le=100)], ...], Field(min_length=1)] = Field(
        (2.0, 4.0), description="temperatures of the output loss to try; tuned without features, then frozen"
    )
    task_weight: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)] = Field(
        (1.0, 0.0),
        description="weights of the task loss beside the output loss to try; tuned without features, then frozen",
    )
    lr: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = Field(
        (0.3, 1.0, 3.0),
        description="factors of train.lr to choose from: the controls are tuned over them, and every recipe with "
        "features has its own",
    )
    similarity_weight: Range = Field(
        (0.0, 0.0),
        description="range from which half of the drawn mappings take how strongly they follow the similarity; where "
        "negative, they avoid it",
    )
    max_teachers: int | None = Field(
        None,
        ge=1,
        description="maximum number of teacher layers that a depth curve gives a student layer; unset: half more than "
        "T/S, and at least three",
    )
    free: Fraction | None = Field(
        None,
        description="share of the drawn mappings without a depth curve; unset: 1.5/S, and at most a half",
    )

    @field_validator("feature_share", "similarity_weight")
    @classmethod
    def _rises(cls, value: Range) -> Range:
        if value[0] > value[1]:
            raise ValueError(f"must be a range [low, high] with low <= high, but got {list(value)}")
        return value

    @field_validator("feature_share")
    @classmethod
    def _is_share(cls, value: Range) -> Range:
        if not 0 < value[0] <= value[1] <= 1:
            raise ValueError(f"must satisfy 0 < low <= high <= 1, but got {list(value)}")
        return value
