import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mapsearch.losses.projectors import Projector

KINDS = pytest.mark.parametrize(
    ("kind", "student", "teacher", "together"),
    [
        ("vector", (4, 3), (4, 8), (4, 8)),
        ("tokens", (4, 5, 3), (4, 5, 8), (4, 8, 5)),
        ("map", (4, 3, 9), (4, 8, 6), (4, 8, 6)),
        ("map", (4, 3, 7, 2), (4, 8, 4, 6), (4, 8, 4, 2)),
        ("map", (4, 3, 2, 5, 4), (4, 8, 4, 4, 4), (4, 8, 2, 4, 4)),
    ],
)


@KINDS
@pytest.mark.parametrize("projection", ["linear", "mlp"])
def test_both_features_come_out_in_one_shape_with_channels_second(kind, student, teacher, together, projection):
    s, t = Projector(kind, kind, 3, 8, projection)(torch.randn(student), torch.randn(teacher))
    assert s.shape == t.shape == together
    assert s.dtype == t.dtype == torch.float32


@KINDS
def test_a_loss_between_samples_gets_both_as_they_are(kind, student, teacher, together):
    features = torch.randn(student), torch.randn(teacher)
    projector = Projector(kind, kind, 3, 8, "none", aligned=False)
    for out, feature in zip(projector(*features), features, strict=True):
        assert torch.equal(out, feature if kind == "map" else feature.movedim(-1, 1))


def test_maps_are_averaged_down_to_the_smaller_grid():
    student, teacher = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 4, 4)
    s, t = Projector("map", "map", 3, 3)(student, teacher)
    assert torch.allclose(s, F.avg_pool2d(student, 2), atol=1e-6)
    assert torch.equal(t, teacher)


def test_each_position_is_projected_alike():
    projector = Projector("map", "map", 3, 8, "linear")
    student = torch.randn(2, 3, 4, 4)
    s, _ = projector(student, torch.randn(2, 8, 4, 4))
    convolved = F.conv2d(student, projector.projection.weight[:, :, None, None], projector.projection.bias)
    assert torch.allclose(s, convolved, atol=1e-5)


def test_the_hidden_width_of_an_mlp_is_the_teachers():
    shapes = [tuple(p.shape) for p in Projector("vector", "vector", 3, 8, "mlp").parameters()]
    assert shapes == [(8, 3), (8,), (8, 8), (8,)]


def test_patches_are_laid_out_row_by_row_without_the_tokens_before_them():
    """A vision transformer's tokens are its patches in reading order, after class and register tokens."""
    image = torch.randn(2, 3, 6, 9)
    patches = nn.Unfold(3, stride=3)(image).mT  # [2, 6, 27]
    tokens = torch.cat([torch.full((2, 2, 27), torch.nan), patches], 1)
    grid = F.conv2d(image, torch.eye(27).view(27, 3, 3, 3), stride=3)  # the same as a map [2, 27, 2, 3]
    s, t = Projector("tokens", "map", 27, 27, student_grid=(2, 3))(tokens, grid)
    assert torch.allclose(s, t, atol=1e-6)
    s, t = Projector("map", "tokens", 27, 27, teacher_grid=(2, 3))(grid, tokens)
    assert torch.allclose(t, s, atol=1e-6)


def test_without_a_projection_nothing_is_learned():
    assert list(Projector("tokens", "tokens", 8, 8).parameters()) == []
    assert [p.shape for p in Projector("tokens", "tokens", 8, 8, learns_variance=True).parameters()] == [(8,)]


def test_patches_meet_patches_whatever_tokens_stand_before_them():
    patches = torch.randn(2, 6, 3)
    few, many = (torch.cat([torch.full((2, n, 3), torch.nan), patches], 1) for n in (1, 5))
    s, t = Projector("tokens", "tokens", 3, 3, student_grid=(2, 3), teacher_grid=(2, 3))(many, few)
    assert torch.equal(s, patches.mT.unflatten(2, (2, 3)))
    assert torch.equal(s, t)
    fine = torch.cat([torch.full((2, 1, 3), torch.nan), torch.randn(2, 24, 3)], 1)
    s, t = Projector("tokens", "tokens", 3, 3, student_grid=(2, 3), teacher_grid=(4, 6))(many, fine)
    assert torch.allclose(t, F.avg_pool2d(fine[:, 1:].mT.unflatten(2, (4, 6)), 2), atol=1e-6)
