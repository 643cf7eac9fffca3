"""The section `train` of a study file."""

from typing import Literal

from pydantic import Field

from mapsearch.core.section import Section

OptimizerName = Literal["adamw", "sgd"]
ScheduleName = Literal["cosine", "linear", "constant"]


class TrainSpec(Section):
    """One full training of a student; shorter rungs compress the same schedule."""

    steps: int = Field(300, ge=5, description="optimizer steps of the full schedule")
    batch_size: int = Field(64, ge=2, description="training samples per step")
    eval_batch_size: int | None = Field(
        None, ge=1, description="samples per batch when networks are measured; no result depends on it; 4 x batch_size"
    )
    accumulate: int = Field(
        1, ge=1, description="batches per optimizer step, whose gradients are averaged; losses see one batch at a time"
    )
    optimizer: OptimizerName = Field("adamw", description="optimizer of student and projectors")
    lr: float = Field(2.0e-3, gt=0, description="peak learning rate of student and projectors")
    projector_lr: float = Field(
        1.0, gt=0, description="learning rate of projectors, and of all else that a loss learns, in units of `lr`"
    )
    weight_decay: float = Field(0.01, ge=0, description="weight decay of the optimizer")
    warmup: float = Field(0.05, ge=0, lt=1, description="fraction of the steps over which the learning rate rises")
    schedule: ScheduleName = Field(
        "cosine", description="the learning rate after it has risen: cosine or linear to zero, or constant"
    )
    features_until: float = Field(
        1.0, gt=0, le=1, description="fraction of the steps during which features teach; then all else teaches alone"
    )
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="decay per step of an exponential moving average of the student's weights, which is then what is "
        "measured; null: the weights themselves are",
    )
    max_grad_norm: float = Field(5.0, gt=0, description="gradients are clipped to this norm")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="precision of both networks' forward passes; auto: bfloat16 on a GPU that has it, else float32",
    )
