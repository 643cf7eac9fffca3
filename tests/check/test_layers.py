from torch import nn

from mapsearch.check import check


def said(report, level, what):
    return "\n".join(f.message for f in report.findings if (f.level, f.what) == (level, what))


def test_a_module_list_is_refused_with_its_children(text, study):
    message = said(check(text(), study(layers={"teacher": ["blocks"]})), "error", "layers")
    assert message.startswith("teacher layer `blocks` cannot be used: a ModuleList that is never called")
    assert message.endswith("choose among `blocks.0` ... `blocks.3`")


def test_a_layer_that_never_fires_is_refused(vision, cnn, study):
    def student():
        made = cnn(4, 2)
        made.aux = nn.Linear(4, 4)
        return made

    report = check(vision(student=student), study(layers={"student": ["aux"]}))
    assert "student layer `aux` cannot be used: fired 0 times on the check batch" in said(report, "error", "layers")


def test_a_layer_that_fires_three_times_is_refused(vision, cnn, study):
    def student():
        made = cnn(4, 2)
        made.blocks = nn.Sequential(*[made.blocks[0]] * 3)
        return made

    report = check(vision(student=student), study(layers={"student": ["blocks.0"]}))
    assert "student layer `blocks.0` cannot be used: fires 3 times per forward pass" in said(report, "error", "layers")


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
    message = said(report, "ok", "layers")
    assert "student: `layers.1`, `layers.3` overwritten in place by a later layer: captured as copies" in message
    assert not report.errors


def test_shapes_that_cannot_be_joined_are_refused_with_both(vision, study):
    def mlp():
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))

    message = said(check(vision(student=mlp), study()), "error", "pairs")
    assert "nmse with projector linear: no pair can be matched" in message
    assert "student vector [8], teacher map [8, 6, 6]" in message


def test_a_student_layer_that_suits_no_teacher_layer_is_a_warning(vision, study):
    report = check(vision(), study(layers={"student": ["blocks.*", "head"]}))
    assert "no teacher layer suits `head`" in said(report, "warning", "pairs")
    assert not report.errors


def test_projectors_are_told_with_their_size(vision, study):
    message = said(check(vision(), study()), "ok", "pairs").splitlines()[0]
    assert (
        message == "nmse: 8 of 8 pairs can be matched, 8 of other width; a linear projector each, 40 to 40 parameters"
    )


def test_a_larger_projector_is_told_and_none_where_the_loss_needs_none(vision, study):
    space = {"loss": ["vid", "pkt"], "projector": ["mlp", "none"]}
    messages = said(check(vision(), study(space=space)), "ok", "pairs").splitlines()
    assert messages[0].endswith("8 of other width; an mlp projector each, 112 to 112 parameters")
    assert messages[1:] == ["pkt: 8 of 8 pairs can be matched, without a projector"]  # once


def test_a_batch_too_small_for_the_loss_is_refused(vision, study):
    report = check(vision(), study(space={"loss": ["cka", "nmse"]}, train={"batch_size": 3}))
    (message,) = said(report, "error", "pairs").splitlines()
    assert message == "cka needs batches of at least 4 samples for its relations, but got `train.batch_size: 3`"


def test_resampling_is_told(vision, study):
    class Smaller(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Conv2d(4, 8, 3), nn.Tanh())
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.layers(x).mean((2, 3)))

    message = said(check(vision(student=Smaller), study()), "ok", "pairs").splitlines()[0]
    assert "8 of maps resampled to the smaller grid, 4 of other width" in message


def test_batch_second_is_refused(vision, study):
    class BatchSecond(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(6, 8)
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.rnn(x.flatten(1, 2).transpose(0, 1))[0][-1])

    report = check(vision(student=BatchSecond), study(layers={"student": ["rnn"]}))
    message = said(report, "error", "layers")
    assert "puts out shape [6, 16, 8], but its first axis must be the batch of 16 (batch_first)" in message


def test_rows_that_can_be_mixed_are_told_and_none_is_a_warning(vision, study):
    spec = study(space={"aggregation": ["fuse", "mix"]})
    message = "fuse, mix: a row mixes teacher layers of one group: `blocks.0`, `blocks.1`, `blocks.2`, `blocks.3`"
    assert message in said(check(vision(), spec), "ok", "pairs")
    assert "a row mixes" not in said(check(vision(), study()), "ok", "pairs")
    alone = study(space={"aggregation": ["fuse"]}, layers={"teacher": ["blocks.1"]})
    assert "fuse: no two teacher layers share kind" in said(check(vision(), alone), "warning", "pairs")


def test_the_kind_of_a_layer_may_be_said_in_the_study_file(vision, study):
    report = check(vision(), study(layers={"kinds": {"blocks.*": "map"}}))
    assert {layer.kind for layer in (*report.student, *report.teacher)} == {"map"}
    message = said(check(vision(), study(layers={"kinds": {"blocs.*": "map"}})), "error", "layers")
    assert "`layers.kinds`: no network has a layer `blocs.*`" in message
