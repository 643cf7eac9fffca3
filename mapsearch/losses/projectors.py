"""Projector: makes a student feature and a teacher feature comparable, and holds all that a pair learns."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mapsearch.losses.feature_rows import averaged_to


class Projector(nn.Module):
    """Brings a pair of features to `[B, C, *positions]`, channels second, float32.

    Where positions are aligned, maps of different size are both averaged down to the smaller grid, and of
    tokens with a grid the last ones are laid out as a map of that size. Then the student's channels become the
    teacher's at each position: by nothing, one linear map (a 1x1 convolution on maps), or an
    MLP of two layers whose hidden width is the teacher's.

    Source: FitNets' regressor (Romero et al. 2015) with a 1x1 kernel.

    Args:
        student_grid, teacher_grid: height and width of the patches among the tokens; those before them are left out.
        learns_variance: holds `log_variance` `[C]` of the teacher's channels, for a loss that learns it.
    """

    def __init__(
        self,
        student_kind: str,
        teacher_kind: str,
        student_width: int,
        teacher_width: int,
        projection: str = "none",
        aligned: bool = True,
        student_grid: tuple[int, int] | None = None,
        teacher_grid: tuple[int, int] | None = None,
        learns_variance: bool = False,
    ) -> None:
        super().__init__()
        self.kinds, self.aligned, self.grids = (student_kind, teacher_kind), aligned, (student_grid, teacher_grid)
        makes: dict[str, Callable[[], nn.Module]] = {
            "none": nn.Identity,
            "linear": lambda: nn.Linear(student_width, teacher_width),
            "mlp": lambda: nn.Sequential(
                nn.Linear(student_width, teacher_width), nn.GELU(), nn.Linear(teacher_width, teacher_width)
            ),
        }
        self.projection = makes[projection]()
        self.learned = nn.ParameterDict({"log_variance": torch.zeros(teacher_width)} if learns_variance else {})

    def forward(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Both features as `[B, C, *positions]`; gradients flow to the student's alone."""
        student, teacher = self.channels_second(student, teacher)
        grid = self.common_grid(student, teacher)
        return self.project(averaged_to(student, grid)), averaged_to(teacher, grid)

    def channels_second(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Both features in float32 with their channels second, the teacher's without a graph."""
        return (
            _channels_second(student.float(), self.kinds[0], self.grids[0]),
            _channels_second(teacher.detach().float(), self.kinds[1], self.grids[1]),
        )

    def common_grid(self, student: Tensor, teacher: Tensor) -> tuple[int, ...] | None:
        """The positions that both are to be averaged down to; None where both stay as they are."""
        if not self.aligned or student.shape[2:] == teacher.shape[2:]:
            return None
        return tuple(min(a, b) for a, b in zip(student.shape[2:], teacher.shape[2:], strict=True))

    def project(self, student: Tensor) -> Tensor:
        """The student's channels made the teacher's at each position."""
        projected = self.projection(torch.movedim(student, 1, -1))
        return torch.movedim(projected, -1, 1).float()  # autocast projects in half precision


def _channels_second(feature: Tensor, kind: str, grid: tuple[int, int] | None) -> Tensor:
    if kind == "map":
        return feature
    feature = torch.movedim(feature, -1, 1)
    if grid is not None:
        height, width = grid
        feature = feature[:, :, -height * width :].reshape(*feature.shape[:2], height, width)
    return feature
