import torch
from findings import codes, message
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from mapsearch.check import check


def test_a_validation_set_that_overlaps_the_training_set_is_refused_with_the_count(vision, study):
    loaded = vision()
    x, y = loaded.train.tensors
    leaked = TensorDataset(x[:40], 0 * y[:40])  # other labels do not make other samples
    report = check(vision(test=leaked), study())
    assert "data.overlap" in codes(report, "error")
    assert "40 of 40 samples of test_data (100.0%)" in message(report, "data.overlap")


def test_a_few_shared_samples_are_a_warning(vision, study):
    known = vision().train.tensors[0][:1]
    valid = TensorDataset(torch.cat([torch.randn(200, 1, 6, 6), known]), torch.ones(201).long())
    report = check(vision(valid=valid), study())
    assert "data.overlap" in codes(report, "warning")
    assert "1 of 201 samples of valid_data (0.5%)" in message(report, "data.overlap")


def test_a_batch_larger_than_the_training_set_is_a_warning(vision, study):
    report = check(vision(), study(train={"batch_size": 81}))
    assert "data.few_samples" in codes(report, "warning")
    assert "`train.batch_size: 81` is more than the 80" in message(report, "data.few_samples")
    assert not report.errors


def test_few_samples_are_said_to_make_a_rough_similarity(vision, study):
    x, y = vision().train.tensors
    report = check(vision(train=TensorDataset(x[:20], y[:20])), study())
    assert not report.errors
    assert "20 training samples" in message(report, "data.few_samples_for_similarity")


def test_the_share_of_unlabelled_samples_is_shown(vision, study):
    x, y = vision().train.tensors
    y = y.clone()
    y[20:] = -100
    report = check(vision(train=TensorDataset(x, y)), study())
    assert "75.0%" in message(report, "data.unlabelled")
    assert not report.errors


def test_no_label_at_all_is_a_warning(vision, study):
    x, y = vision().train.tensors
    report = check(vision(train=TensorDataset(x, torch.full_like(y, -100))), study())
    assert {"data.unlabelled", "gradients.no_task_gradient"} <= set(codes(report, "warning"))
    assert "100.0%" in message(report, "data.unlabelled")


def test_a_task_with_a_loss_of_its_own_needs_no_labels(vision, study):
    def no_labels(self, batch):
        raise KeyError("labels")

    def loss(self, output, batch):
        return output.square().mean()

    def metrics(self, output, batch):
        return {"spread": output.std(1)}

    loaded = vision(labels=no_labels, loss=loss, metrics=metrics)
    report = check(loaded, study(metric="spread", outputs="classes"))
    assert "data.own_targets" in codes(report, "ok")
    assert [error.message for error in report.errors if "labels" in error.message] == []


def test_what_is_used_of_a_loader_and_how_samples_are_drawn_is_said(vision, study):
    sampler = WeightedRandomSampler([0.0] * 40 + [1.0] * 40, 80)
    report = check(vision(train=DataLoader(vision().train, 8, sampler=sampler)), study())
    assert "the weights of its sampler" in message(report, "data.form")
    assert "80 training samples" in message(report, "data.weights")
    assert "40 of them never" in message(report, "data.weights")
    assert not report.errors
