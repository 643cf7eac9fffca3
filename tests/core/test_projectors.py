"""What a projector is made with."""

from mapsearch.core.layers import Layer
from mapsearch.core.projectors import projector_arguments

VIT, CNN = Layer("blocks.0", "Block", "tokens", (201, 6), 1), Layer("layer1", "Stage", "map", (9, 7, 7), 1)
VIT_TO_CNN = {"student_kind": "tokens", "teacher_kind": "map", "student_width": 6, "teacher_width": 9}
CNN_TO_VIT = {"student_kind": "map", "teacher_kind": "tokens", "student_width": 9, "teacher_width": 6}


def test_the_arguments_hold_nothing_that_the_loss_has_no_use_for():
    assert projector_arguments("nmse", "mlp", VIT, CNN) == {**VIT_TO_CNN, "projection": "mlp", "student_grid": (14, 14)}
    assert projector_arguments("attention", "mlp", CNN, VIT) == {**CNN_TO_VIT, "teacher_grid": (14, 14)}
    assert projector_arguments("cka", "mlp", CNN, VIT) == {**CNN_TO_VIT, "aligned": False}
    assert projector_arguments("vid", "none", CNN, CNN)["learns_variance"]
    assert "projection" not in projector_arguments("nmse", "none", CNN, CNN)
