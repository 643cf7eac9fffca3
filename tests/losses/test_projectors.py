import pytest
import torch
import torch.nn.functional as F

from mapsearch.losses.projectors import Projector


@pytest.mark.parametrize(
    ("kind", "student", "teacher", "together"),
    [
        ("vector", (4, 3), (4, 8), (4, 8)),
        ("tokens", (4, 5, 3), (4, 5, 8), (4, 8, 5)),
        ("map", (4, 3, 9), (4, 8, 6), (4, 8, 6)),
        ("map", (4, 3, 7, 2), (4, 8, 4, 6), (4, 8, 4, 2)),
        ("map", (4, 3, 2, 5, 4), (4, 8, 4, 4, 4), (4, 8, 2, 4, 4)),
    ],
)
def test_both_features_come_out_in_one_shape_with_channels_second(kind, student, teacher, together):
    s, t = Projector(kind, 3, 8)(torch.randn(student), torch.randn(teacher))
    assert s.shape == t.shape == together
    assert s.dtype == t.dtype == torch.float32


def test_maps_are_averaged_down_to_the_smaller_grid():
    student, teacher = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 4, 4)
    s, t = Projector("map", None, 3)(student, teacher)
    assert torch.allclose(s, F.avg_pool2d(student, 2), atol=1e-6)
    assert torch.equal(t, teacher)


def test_each_position_is_projected_alike():
    projector = Projector("map", 3, 8)
    student = torch.randn(2, 3, 4, 4)
    s, _ = projector(student, torch.randn(2, 8, 4, 4))
    convolved = F.conv2d(student, projector.linear.weight[:, :, None, None], projector.linear.bias)
    assert torch.allclose(s, convolved, atol=1e-5)


def test_without_a_student_width_nothing_is_learned():
    assert list(Projector("tokens", None, 8).parameters()) == []
