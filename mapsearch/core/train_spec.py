"""The section `train` of a study file."""

from typing import Literal

from pydantic import Field

from mapsearch.core.section import Section

OptimizerName = Literal["adamw", "sgd"]


class TrainSpec(Section):
    """One full training of a student; shorter rungs compress the same schedule."""

    steps: int = Field(300, ge=5, description="optimizer steps of the full schedule")
    batch_size: int = Field(64, ge=2, description="training samples per step")
    eval_batch_size: int | None = Field(
        None, ge=1, description="samples per batch when networks are measured; no result depends on it; 4 x batch_size"
    )
    optimizer: OptimizerName = Field("adamw", description="optimizer of student and projectors")
    lr: float = Field(2.0e-3, gt=0, description="peak learning rate of student and projectors")
    weight_decay: float = Field(0.01, ge=0, description="weight decay of the optimizer")
    warmup: float = Field(0.05, ge=0, lt=1, description="fraction of the steps over which the learning rate rises")
    max_grad_norm: float = Field(5.0, gt=0, description="gradients are clipped to this norm")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="precision of both networks' forward passes; auto: bfloat16 on a GPU that has it, else float32",
    )
