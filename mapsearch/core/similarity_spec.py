"""The section `similarity` of a study file."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mapsearch.core.section import Section, auto_or
from mapsearch.core.similarity import MIN_SAMPLES, EstimatorName, MeasureName, measure_problem

Block = Annotated[Literal["auto", "all"] | Annotated[int, Field(ge=4)], auto_or("`all` or a whole number >= 4")]


class SimilaritySpec(Section):
    """How the similarity of layers is measured before the search."""

    measure: MeasureName = Field("cka", description="measure of similarity")
    estimator: EstimatorName = Field(
        "debiased", description="biased: as published; debiased: about 0 for unrelated layers"
    )
    samples: Annotated[int, Field(ge=MIN_SAMPLES)] | None = Field(
        2048, description="maximum number of training samples shown to both networks; null: all of them"
    )
    tolerance: float | None = Field(
        0.01, gt=0, description="stop once every value is known to within this (95 % interval); null: use all `samples`"
    )
    block: Block = Field(
        "auto", description="number of samples compared with each other at once; all: every sample with every other"
    )
    maps: Literal["flatten", "grid", "mean"] = Field("flatten", description="how a feature map becomes one row")
    tokens: Literal["mean", "first", "flatten", "samples"] = Field("mean", description="how tokens become rows")
    outliers: Literal["clip", "normalise", "keep"] = Field(
        "clip", description="what is done with tokens of very large norm"
    )

    @model_validator(mode="after")
    def _can_be_estimated(self) -> Self:
        problem = measure_problem(self.measure, self.estimator, self.block)
        if problem:
            raise ValueError(problem)
        return self
