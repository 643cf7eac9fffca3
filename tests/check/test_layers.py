from findings import codes, message
from small_tasks import ResidualConvNet
from torch import nn

from mapsearch.check import check


def test_a_module_list_is_refused_with_its_children(text, study):
    refused = message(check(text(), study(layers={"teacher": ["blocks"]})), "layers.refused")
    assert "teacher layer `blocks`" in refused
    assert "`blocks.0` ... `blocks.3`" in refused


def test_a_layer_that_never_fires_is_refused(vision, study):
    def student():
        made = ResidualConvNet(4, 2)
        made.aux = nn.Linear(4, 4)
        return made

    report = check(vision(student=student), study(layers={"student": ["aux"]}))
    assert "student layer `aux`" in message(report, "layers.refused")
    assert "0 times" in message(report, "layers.refused")


def test_a_layer_that_fires_three_times_is_refused(vision, study):
    def student():
        made = ResidualConvNet(4, 2)
        made.blocks = nn.Sequential(*[made.blocks[0]] * 3)
        return made

    report = check(vision(student=student), study(layers={"student": ["blocks.0"]}))
    assert "student layer `blocks.0`" in message(report, "layers.refused")
    assert "3 times" in message(report, "layers.refused")


def test_an_output_that_is_overwritten_in_place_is_found_and_protected(vision, study):
    class Overwritten(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(
                nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3), nn.ReLU(inplace=True)
            )
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.layers(x).mean((2, 3)))

    report = check(vision(student=Overwritten), study(layers={"student": ["layers.1", "layers.3"]}))
    assert "student: `layers.1`, `layers.3`" in message(report, "layers.overwritten")
    assert not report.errors


def test_shapes_that_cannot_be_joined_are_refused_with_both(vision, study):
    def mlp():
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))

    refused = message(check(vision(student=mlp), study()), "pairs.none")
    assert "nmse with projector linear" in refused
    assert "student vector [8], teacher map [8, 6, 6]" in refused


def test_a_student_layer_that_suits_no_teacher_layer_is_a_warning(vision, study):
    report = check(vision(), study(layers={"student": ["blocks.*", "head"]}))
    assert "pairs.idle_layer" in codes(report, "warning")
    assert "`head`" in message(report, "pairs.idle_layer")
    assert not report.errors


def test_projectors_are_told_with_their_size(vision, study):
    first = message(check(vision(), study()), "pairs.possible").splitlines()[0]
    assert first.startswith("nmse: 8 of 8 pairs")
    assert "8 of different width" in first
    assert "40 to 40 parameters" in first


def test_a_larger_projector_is_told_and_none_where_the_loss_needs_none(vision, study):
    space = {"loss": ["vid", "pkt"], "projector": ["mlp", "none"]}
    first, *others = message(check(vision(), study(space=space)), "pairs.possible").splitlines()
    assert "112 to 112 parameters" in first
    (once,) = others
    assert once.startswith("pkt: 8 of 8 pairs")
    assert "without a projector" in once


def test_a_batch_too_small_for_the_loss_is_refused(vision, study):
    report = check(vision(), study(space={"loss": ["cka", "nmse"]}, train={"batch_size": 3}))
    (line,) = message(report, "pairs.small_batches").splitlines()
    assert line.startswith("cka")
    assert "at least 4" in line
    assert "`train.batch_size: 3`" in line


def test_resampling_is_told(vision, study):
    class Smaller(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Conv2d(4, 8, 3), nn.Tanh())
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.layers(x).mean((2, 3)))

    first = message(check(vision(student=Smaller), study()), "pairs.possible").splitlines()[0]
    assert "8 of maps resampled" in first
    assert "4 of different width" in first


def test_a_layer_with_the_batch_second_is_read_with_it_first(vision, study):
    class BatchSecond(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(6, 8)
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.rnn(x.flatten(1, 2).transpose(0, 1))[0][-1])

    report = check(vision(student=BatchSecond), study(layers={"student": ["rnn"]}))
    assert [(layer.path, layer.shape) for layer in report.student] == [("rnn@sequence_first", (6, 8))]


def test_rows_that_can_be_mixed_are_told_and_none_is_a_warning(vision, study):
    spec = study(space={"aggregation": ["fuse", "mix"]})
    assert "`blocks.0`, `blocks.1`, `blocks.2`, `blocks.3`" in message(check(vision(), spec), "pairs.mixtures")
    assert "pairs.mixtures" not in codes(check(vision(), study()), "ok")
    alone = study(space={"aggregation": ["fuse"]}, layers={"teacher": ["blocks.1"]})
    assert "pairs.no_mixture" in codes(check(vision(), alone), "warning")


def test_the_kind_of_a_layer_may_be_said_in_the_study_file(vision, study):
    report = check(vision(), study(layers={"kinds": {"blocks.*": "map"}}))
    assert {layer.kind for layer in (*report.student, *report.teacher)} == {"map"}
    refused = message(check(vision(), study(layers={"kinds": {"blocs.*": "map"}})), "layers.refused")
    assert "`layers.kinds`" in refused
    assert "`blocs.*`" in refused
