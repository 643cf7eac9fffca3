from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import TensorDataset

from mapsearch.core.errors import TaskError
from mapsearch.tasks.loading import open_task
from mapsearch.tasks.output_kinds import decide_outputs
from mapsearch.tasks.task import Task

N = 48


class Given(nn.Module):
    """Outputs the first item of the batch, through a parameter that does nothing."""

    def __init__(self, wrap=lambda output: output):
        super().__init__()
        self.scale, self.wrap = nn.Parameter(torch.ones(())), wrap

    def forward(self, x):
        return self.wrap(self.scale * x)


class Case(Task):
    """Outputs and labels as they are given: outputs are the inputs."""

    def __init__(self, outputs, labels, wrap=lambda output: output):
        self.samples, self.wrap = (outputs,) if labels is None else (outputs, labels), wrap

    def teacher(self):
        return Given(self.wrap)

    def student(self):
        return Given(self.wrap)

    def train_data(self):
        return TensorDataset(*self.samples)

    valid_data = train_data


class OwnLoss(Case):
    def __init__(self, outputs, labels, loss):
        super().__init__(outputs, labels)
        self.own = loss

    def loss(self, output, batch):
        return self.own(output, batch[1])


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def classes(*shape, n=5):
    return torch.randint(n, shape, generator=torch.Generator().manual_seed(1))


def decide(task, wanted="auto"):
    return decide_outputs(open_task(task, "cpu"), wanted, "float32")


def right(labels, axis, n):
    """Scores of a teacher that knows the labels, with the classes on that axis."""
    known = F.one_hot(labels, n).float().movedim(-1, axis)
    return 4 * known + 0.1 * randn(*known.shape)


YES_OR_NO = (randn(N, 6, seed=2) > 0).float()


@pytest.mark.parametrize(
    ("outputs", "labels", "kind", "axis"),
    [
        (randn(N, 5), classes(N), "classes", -1),
        (randn(N, 7, 5), classes(N, 7), "classes", -1),
        (randn(N, 5, 7), classes(N, 7), "classes", -2),
        (randn(N, 5, 8, 8), classes(N, 8, 8), "classes", -3),
        (randn(N, 8, 8, 5), classes(N, 8, 8), "classes", -1),
        (right(classes(N, 5), 1, 5), classes(N, 5), "classes", -2),
        (right(classes(N, 5), 2, 5), classes(N, 5), "classes", -1),
        (right(classes(N, 5, 5), 1, 5), classes(N, 5, 5), "classes", -3),
        (randn(N, 6), YES_OR_NO, "labels", -1),
        (randn(N, 6), YES_OR_NO.long(), "labels", -1),
        (randn(N), YES_OR_NO[:, 0], "labels", -1),
        (randn(N, 1), YES_OR_NO[:, 0], "labels", -1),
        (randn(N, 2), randn(N, 2, seed=3), "values", -1),
        (randn(N, 1), randn(N, seed=3), "values", -1),
        (randn(N), randn(N, 1, seed=3), "values", -1),
        (randn(N, 1), classes(N, n=30), "values", -1),
        (randn(N, 2, 8, 8), randn(N, 2, 8, 8, seed=3), "values", -3),  # of images: standardised channel by channel
    ],
)
def test_labels_say_what_outputs_are(outputs, labels, kind, axis):
    form = decide(Case(outputs, labels))
    assert (form.kind, form.class_axis) == (kind, axis)
    assert form.has_loss
    assert form.why


def test_classes_that_may_be_on_two_axes_are_asked_for():
    with pytest.raises(TaskError, match=r"more than one axis; move them to the last .*`Task.outputs\(output\)`"):
        decide(Case(randn(N, 5, 5), classes(N, 5)))


def test_an_axis_is_told_by_the_tasks_own_method_or_loss():
    outputs, labels = randn(N, 5, 5), classes(N, 5)
    selected = Case(outputs, labels)
    selected.__class__ = type("Selected", (Case,), {"outputs": lambda self, output: output})
    assert decide(selected).class_axis == -1
    assert decide(OwnLoss(outputs, labels, F.cross_entropy)).class_axis == -2


@pytest.mark.parametrize(
    ("labels", "loss", "kind"),
    [
        (F.one_hot(classes(N)).float(), F.cross_entropy, "classes"),
        (F.one_hot(classes(N)), lambda output, y: F.cross_entropy(output, y.argmax(-1)), "classes"),
        (F.one_hot(classes(N)).float(), F.binary_cross_entropy_with_logits, "labels"),
        (randn(N, 5, seed=4).sigmoid(), F.mse_loss, "values"),
        (randn(N, 5, seed=4).sigmoid(), F.binary_cross_entropy_with_logits, "labels"),
        (randn(N, 5, seed=4).softmax(-1), F.cross_entropy, "classes"),
    ],
)
def test_shares_between_zero_and_one_are_told_by_the_tasks_loss(labels, loss, kind):
    assert decide(OwnLoss(randn(N, 5), labels, loss)).kind == kind
    with pytest.raises(TaskError, match=r"labels between 0 and 1 .*; state `outputs:`"):
        decide(Case(randn(N, 5), labels))
    assert decide(Case(randn(N, 5), labels), kind).kind == kind


@pytest.mark.parametrize(
    ("wrap", "kind"),
    [
        (lambda x: {"sentence_embedding": x}, "embedding"),
        (lambda x: SimpleNamespace(last_hidden_state=x), "embedding"),
        (lambda x: {"last_hidden_state": x[:, None], "image_embeds": x}, "embedding"),
        (lambda x: {"logits": x}, "classes"),
    ],
)
def test_without_labels_the_field_says_it(wrap, kind):
    form = decide(Case(randn(N, 5), None, wrap))
    assert (form.kind, form.has_loss) == (kind, False)


def test_labels_of_zero_and_one_are_values_where_the_loss_is_a_squared_error():
    labels = YES_OR_NO[:, 0]
    form = decide(OwnLoss(randn(N, 1), labels, lambda output, y: F.mse_loss(output.squeeze(-1), y)))
    assert (form.kind, form.losses) == ("values", ("mse", "huber"))
    form = decide(OwnLoss(randn(N, 1), labels, lambda o, y: F.binary_cross_entropy_with_logits(o.squeeze(-1), y)))
    assert form.kind == "labels"


def test_a_bare_tensor_without_labels_is_asked_for():
    with pytest.raises(TaskError, match=r"no labels .*; state `outputs:` .*embedding"):
        decide(Case(randn(N, 5), None))
    assert decide(Case(randn(N, 5), None), "embedding").kind == "embedding"


@pytest.mark.parametrize("wanted", ["auto", "classes", "labels", "values"])
@pytest.mark.parametrize(
    ("outputs", "labels"),
    [(randn(N, 5, 7), classes(N, 3)), (randn(N, 5), classes(N, 1)), (randn(N, 5, 8, 8), classes(N, 1, 8, 8))],
)
def test_labels_that_fit_nothing_are_asked_for(outputs, labels, wanted):
    with pytest.raises(TaskError, match=r"labels \[48, .*\] do not fit .*`Task.labels\(batch\)`"):
        decide(Case(outputs, labels), wanted)


@pytest.mark.parametrize(
    ("scores", "labels", "way_out"),
    [
        (randn(N, 5).softmax(-1), classes(N), r"`output.clamp\(min=1e-9\).log\(\)`"),
        (randn(N, 5, 7).softmax(1), classes(N, 7), r"`output.clamp\(min=1e-9\).log\(\)`"),
        (randn(N, 6).sigmoid(), YES_OR_NO, r"`output.logit\(eps=1e-6\)`"),
    ],
)
def test_probabilities_are_no_scores(scores, labels, way_out):
    with pytest.raises(TaskError, match=way_out):
        decide(Case(scores, labels))


def test_labels_under_another_key_are_asked_for():
    task = Case(randn(N, 5), classes(N), lambda x: {"logits": x})
    task.collate = lambda samples: dict(zip(("x", "label"), torch.utils.data.default_collate(samples), strict=True))
    task.forward = lambda model, batch: model(batch["x"])
    with pytest.raises(TaskError, match=r"`label` is not read .*rename it.*`Task.labels\(batch\)`.*`outputs: classes`"):
        decide(task)
    assert decide(task, "classes").kind == "classes"


def test_outputs_of_none_are_matched_by_features_alone():
    task = Case(randn(N, 5), classes(N))
    task.__class__ = type("Alone", (OwnLoss,), {"outputs": lambda self, output: None})
    task.own = F.cross_entropy
    assert decide(task).kind == "none"
    assert decide(Case(randn(N, 5), classes(N)), "none").kind == "none"
    boxes = Case(randn(N, 5), classes(N), lambda x: {"boxes": x})  # that no method selects
    assert decide(boxes, "none").kind == "none"


@pytest.mark.parametrize("wanted", ["embedding", "none"])
def test_labels_beside_outputs_that_are_not_held_against_them_give_no_loss(wanted):
    outputs, labels = randn(N, 5), classes(N)
    assert not decide(Case(outputs, labels), wanted).has_loss
    assert decide(OwnLoss(outputs, labels, F.cross_entropy), wanted).has_loss


def test_values_are_standardised_by_the_teachers():
    values = torch.cat([3 + 2 * randn(N, 1), torch.ones(N, 1)], 1)
    form = decide(Case(values, randn(N, 2, seed=1)))
    assert form.mean == pytest.approx(values.mean(0).tolist(), abs=1e-5)
    assert form.sd == pytest.approx([float(values[:, 0].std(correction=0)), 1.0], abs=1e-5), "a constant is left alone"


class Ids(nn.Module):
    """Scores over a vocabulary from token ids: of the token itself, or of all tokens at once."""

    def __init__(self, causal):
        super().__init__()
        self.embedding, self.causal = nn.Embedding(11, 11), causal

    def forward(self, ids):
        scores = self.embedding(ids)
        return scores if self.causal else scores + scores.mean(1, keepdim=True)


class Language(Case):
    def __init__(self, ids, labels, causal=True):
        super().__init__(ids, labels)
        self.causal = causal

    def teacher(self):
        return Ids(self.causal)

    student = teacher


def test_labels_that_are_the_inputs_are_those_of_the_next_token():
    ids = classes(N, 6, n=11)
    assert decide(Language(ids, ids.clone())).next_token
    ends_early = ids.masked_fill(torch.arange(6) > 3, -100)
    assert decide(Language(ids, ends_early)).next_token
    shifted = torch.cat([ids[:, 1:], torch.full((N, 1), -100)], 1)
    assert not decide(Language(ids, shifted)).next_token


class Shifting(Language):
    def loss(self, output, batch):
        return F.cross_entropy(output[:, :-1].flatten(0, 1), batch[1][:, 1:].flatten())


def test_labels_are_not_moved_to_the_next_token_twice():
    ids = classes(N, 6, n=11)
    shifted = torch.cat([ids[:, 1:], torch.full((N, 1), -100)], 1)
    with pytest.raises(TaskError, match=r"next tokens already.*`labels` that equal `input_ids`"):
        decide(Shifting(ids, shifted))
    assert decide(Shifting(ids, ids.clone())).next_token


def test_a_teacher_that_sees_what_it_should_predict_is_refused():
    ids = classes(N, 6, n=11)
    with pytest.raises(TaskError, match="labels are the inputs themselves, and the teacher sees them"):
        decide(Language(ids, ids.clone(), causal=False))
