import gc
import math
import re
import warnings
import weakref
from dataclasses import replace

import pytest
import torch
from small_tasks import (
    BadMetric,
    Clusters,
    Crowded,
    InPlace,
    Recording,
    SecondTires,
    SideLayers,
    Tired,
    load,
    make_plans,
    make_space,
)
from torch.optim.optimizer import register_optimizer_step_post_hook

from mapsearch.core.events import Message, Progress
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.spec import StudySpec
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import CohortSplit, WorkerState, distill, open_worker_state, train_cohort

TRAIN = TrainSpec(steps=12, batch_size=16, lr=5e-3)
NONE, LOGITS = Recipe(), Recipe(output_weight=1.0, temperature=2.0)


def features(*pairs, share=0.5, **fields):
    pairs = pairs or (("blocks.0", "blocks.1"), ("blocks.1", "blocks.3"))
    return Recipe(LayerMapping(tuple(Pair(*pair, 1.0) for pair in pairs)), feature_share=share, **fields)


STEERED = (
    features(("blocks.1", "blocks.2"), ("blocks.1", "blocks.3"), aggregation="fuse", balance="gate", output_weight=1.0),
    features(("blocks.1", "blocks.2"), ("blocks.1", "blocks.3"), aggregation="mix", balance="uncertainty"),
)
MANY_TO_ONE = features(("blocks.1", "blocks.2"), ("blocks.1", "blocks.3"), loss="cosine", output_weight=1.0)


def results(task, *recipes, train=TRAIN, student="auto", **plan):
    loaded = load(task)
    events = distill(loaded, make_space(loaded, student), train, make_plans(*recipes, **plan))
    return {event.key[0]: event for event in events if isinstance(event, RunResult)}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_member_of_a_cohort_comes_out_as_if_trained_alone(optimizer):
    recipes = (NONE, LOGITS, features(), MANY_TO_ONE, *STEERED)
    task, train = Clusters(dropout=0.3, jitter=0.1), TRAIN.model_copy(update={"optimizer": optimizer})
    together = results(task, *recipes, train=train)
    for number, recipe in enumerate(recipes):
        alone = results(task, recipe, train=train)[0]
        assert together[number].metrics == pytest.approx(alone.metrics, rel=1e-5)
        assert together[number].first_loss == pytest.approx(alone.first_loss, rel=1e-6)
        for of in ("scales", "norms", "mixed_weights", "gradient_shares"):
            assert getattr(together[number], of) == pytest.approx(getattr(alone, of), rel=1e-6), of
        assert together[number].notes == alone.notes
        for (step, loss), (step_alone, loss_alone) in zip(together[number].curve, alone.curve, strict=True):
            assert (step, loss) == (step_alone, pytest.approx(loss_alone, rel=1e-5))


def test_recipes_differ_in_their_result():
    found = results(Clusters(), NONE, LOGITS, features(), MANY_TO_ONE)
    assert all(run.state == "complete" for run in found.values())
    assert len({run.metrics["loss"] for run in found.values()}) == 4


def test_every_recipe_starts_with_the_same_student_and_sees_the_same_batches():
    plain, taught = Recording(jitter=0.5), Recording(jitter=0.5)
    results(plain, NONE)
    results(taught, features())
    for name, value in plain.students[-1].items():
        assert torch.equal(value, taught.students[-1][name]), name
    n_layers_looked_at, n_calibration = 1, 4
    first, second = plain.batches[n_layers_looked_at:], taught.batches[n_layers_looked_at + n_calibration :]
    for step in range(12):
        assert torch.equal(first[step], second[step]), step


def test_another_seed_is_another_student_and_order():
    one, other = Recording(), Recording()
    results(one, NONE, seed=0)
    results(other, NONE, seed=1)
    assert not torch.equal(one.students[-1]["stem.weight"], other.students[-1]["stem.weight"])
    assert not torch.equal(one.batches[1], other.batches[1])


@pytest.mark.parametrize("rung", [0, 1, 2])
def test_every_rung_is_a_complete_schedule(rung):
    train = TrainSpec(steps=60, batch_size=16, lr=0.01, warmup=0.1)
    n_steps = StudySpec(name="x", task="x.py:X", train=train).n_steps(rung)
    rates = []
    handle = register_optimizer_step_post_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    try:
        run = results(Clusters(), LOGITS, train=train, n_steps=n_steps)[0]
    finally:
        handle.remove()
    assert len(rates) == n_steps == run.curve[-1][0]
    assert max(rates) == pytest.approx(0.01)
    assert rates[0] < 0.01 or n_steps < 20  # it warms up
    assert rates[-1] < 0.1 * 0.01
    assert rates[-1] == min(rates)


def test_progress_is_told_and_every_run_ends_once():
    loaded = load(Clusters())
    events = list(distill(loaded, make_space(loaded), TRAIN, make_plans(NONE, LOGITS)))
    told = [(e.key[0], e.step, e.n_steps) for e in events if isinstance(e, Progress)]
    assert told == [(0, 10, 12), (1, 10, 12), (0, 12, 12), (1, 12, 12)]
    assert [e.key[0] for e in events if isinstance(e, RunResult)] == [0, 1]


def test_everything_said_about_a_run_carries_its_attempt():
    loaded = load(Clusters())
    first, second = make_plans(NONE, LOGITS)
    plans = (first, second.next_attempt().next_attempt())
    attempts = [(e.key[0], e.attempt) for e in distill(loaded, make_space(loaded), TRAIN, plans)]
    assert set(attempts) == {(0, 1), (1, 3)}


def test_a_term_that_overflows_ends_its_run_alone_and_is_named():
    found = results(Clusters(), LOGITS, Recipe(output_weight=1e300), features())
    assert [run.state for _, run in sorted(found.items())] == ["complete", "diverged", "complete"]
    assert found[1].error.startswith("term `outputs` is inf at step 1 ")


def test_a_feature_that_blows_up_names_its_layers():
    recipe = features(("loud", "blocks.0"), projector="linear")
    found = results(SideLayers(), recipe, LOGITS, student=("loud", "blocks.*"))
    assert [run.state for _, run in sorted(found.items())] == ["diverged", "complete"]
    assert found[0].error.startswith("term `loud <- blocks.0` is nan at step 1 ")


def test_weights_that_blow_up_are_caught():
    train = TrainSpec(steps=30, batch_size=16, lr=1e30, warmup=0, optimizer="sgd", weight_decay=0.0)
    run = results(Clusters(), LOGITS, train=train, n_steps=30)[0]
    assert run.state == "diverged"
    assert all(loss == loss for _, loss in run.curve)


def test_a_feature_without_gradient_is_invalid():
    found = results(SideLayers(), features(("silent", "blocks.0")), LOGITS, student=("silent", "blocks.*"))
    assert [run.state for _, run in sorted(found.items())] == ["invalid", "complete"]
    assert "term `silent <- blocks.0` must send a finite, non-zero gradient to the student" in found[0].error


def test_a_run_that_crashes_ends_alone_with_the_users_line():
    found = results(SecondTires(), NONE, LOGITS, MANY_TO_ONE)  # the first student is looked at, the second tires
    assert [run.state for _, run in sorted(found.items())] == ["crashed", "complete", "complete"]
    assert found[0].error.startswith("ValueError: no more, please (small_tasks.py:")


def test_a_run_whose_student_calls_sys_exit_ends_alone(monkeypatch):
    monkeypatch.setattr(Tired, "error", SystemExit(0))
    found = results(SecondTires(), NONE, LOGITS)
    assert [run.state for _, run in sorted(found.items())] == ["crashed", "complete"]
    assert "sys.exit(0)" in found[0].error
    assert "small_tasks.py:" in found[0].error


def test_metrics_that_raise_end_the_runs():
    for run in results(BadMetric(raises=True), NONE, LOGITS).values():
        assert run.state == "crashed"
        assert run.error.startswith("KeyError: 'accuracy' (small_tasks.py:")


def test_metrics_that_are_not_finite_are_left_to_whoever_knows_the_one_that_counts():
    for run in results(BadMetric(raises=False), NONE, LOGITS).values():
        assert run.state == "complete"
        assert math.isnan(run.metrics["accuracy"])


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_a_cohort_out_of_memory_is_halved(limit):
    found = results(Crowded(limit), *[LOGITS, MANY_TO_ONE, NONE, features(), features()])
    assert [run.state for run in found.values()] == ["complete"] * 5


class CrowdedGroups(Crowded):
    """Finds no room where it is asked for the groups of too many students."""

    def parameter_groups(self, student, lr):
        self.room.check()


def test_a_cohort_for_which_the_tasks_own_code_finds_no_memory_is_halved():
    loaded = load(CrowdedGroups(2))
    space = make_space(loaded)
    loaded.task.room.limit = 1
    runs = distill(loaded, space, TRAIN, make_plans(NONE, LOGITS))
    assert [run.state for run in runs if isinstance(run, RunResult)] == ["complete"] * 2


def test_the_cache_is_given_up_before_the_cohort_is_halved(monkeypatch):
    loaded = load(Crowded(2))
    state = open_worker_state(loaded, TRAIN)
    check = loaded.task.room.check

    def check_beside_the_cache():
        loaded.task.room.limit = 0 if state.cache.features._columns else 2
        check()

    monkeypatch.setattr(loaded.task.room, "check", check_beside_the_cache)
    events = list(train_cohort(loaded, make_space(loaded), TRAIN, make_plans(LOGITS, MANY_TO_ONE), state))
    assert [event.state for event in events if isinstance(event, RunResult)] == ["complete"] * 2
    assert not any(isinstance(event, CohortSplit) for event in events)
    assert any("memory did not suffice" in event.text for event in events if isinstance(event, Message))


def test_a_lone_run_out_of_memory_is_said_so():
    loaded = load(Crowded(1))
    space = make_space(loaded)
    loaded.task.room.limit = 0
    (run,) = distill(loaded, space, TRAIN, make_plans(LOGITS))
    assert run.state == "oom"
    told = ("out of memory with batch size 16 in 8 parts", "`train.batch_size`", "1 students, but room for 0")
    assert all(part in run.error for part in told)


def test_nothing_of_a_cohort_stays_in_memory():
    loaded = load(Crowded(9))
    space = make_space(loaded)
    gc.collect()
    gc.disable()  # what only the collector finds would fill a GPU
    try:
        parameters = []
        for event in distill(loaded, space, TRAIN, make_plans(LOGITS, MANY_TO_ONE)):
            if isinstance(event, Progress) and not parameters:
                parameters = [weakref.ref(p) for student in loaded.task.room.alive for p in student.parameters()]
        assert len(parameters) >= 2
        assert not any(parameter() is not None for parameter in parameters)
    finally:
        gc.enable()


@pytest.mark.parametrize(("anneal", "ends_at_zero"), [(0.5, True), (1.0, False)])
def test_the_feature_term_fades(anneal, ends_at_zero):
    run = results(Clusters(), features(share=1.0, anneal=anneal))[0]
    assert run.first_loss == pytest.approx(1.0, rel=0.5)  # calibrated
    assert run.curve[0][1] > 0 or ends_at_zero
    assert (run.curve[-1][1] == 0) == ends_at_zero


def test_the_teacher_is_left_as_it_was():
    loaded = load(Clusters())
    before = {name: value.clone() for name, value in loaded.teacher.state_dict().items()}
    list(distill(loaded, make_space(loaded), TRAIN, make_plans(LOGITS, features())))
    assert all(torch.equal(value, before[name]) for name, value in loaded.teacher.state_dict().items())
    assert not any(p.grad is not None or p.requires_grad for p in loaded.teacher.parameters())
    assert not any(module.training or module._forward_hooks for module in loaded.teacher.modules())


def test_no_hook_stays_when_the_consumer_leaves_early():
    loaded = load(Clusters())
    events = distill(loaded, make_space(loaded), TRAIN, make_plans(features()))
    next(events)
    assert any(module._forward_hooks for module in loaded.teacher.modules())
    events.close()
    assert not any(module._forward_hooks for module in loaded.teacher.modules())


def test_a_layer_that_is_overwritten_in_place_is_captured_as_it_was():
    recipe = features(("0", "blocks.1"), ("2", "blocks.3"))
    safe, overwritten = (results(InPlace(inplace), recipe, student=("0", "2"))[0] for inplace in (False, True))
    assert overwritten.state == "complete"
    assert overwritten.scales == pytest.approx(safe.scales)
    assert [loss for _, loss in overwritten.curve] == pytest.approx([loss for _, loss in safe.curve])


def test_shares_of_the_gradient_are_told_and_extremes_noted():
    found = results(
        Clusters(), features(output_weight=1.0), features(share=1e-6), features(("blocks.1", "blocks.3"), share=1.0)
    )
    assert all(0.01 < share < 0.95 for share in found[0].gradient_shares)
    assert found[0].notes == ()
    assert [note.split(":")[0] for note in found[1].notes] == [
        "term `blocks.0 <- blocks.1` is inert", "term `blocks.1 <- blocks.3` is inert",
    ]  # fmt: skip
    assert found[2].notes == ("term `blocks.1 <- blocks.3` is dominating: 100.00% of the gradient",)


def test_a_gradient_at_the_start_is_measured_once_for_all_recipes_with_that_term():
    loaded, worker_state = load(Clusters()), WorkerState()
    recipes = features(output_weight=1.0), features(share=0.2, output_weight=3.0), features(("blocks.1", "blocks.3"))
    for plans, n_terms in ((make_plans(*recipes[:2]), 4), (make_plans(recipes[2]), 4), (make_plans(STEERED[0]), 5)):
        runs = [e for e in distill(loaded, make_space(loaded), TRAIN, plans, worker_state) if isinstance(e, RunResult)]
        assert len(worker_state.first_gradients) == n_terms  # task, outputs, two pairs; then a row that is fused
    (alone,) = results(Clusters(), STEERED[0]).values()
    assert runs[0].gradient_shares == pytest.approx(alone.gradient_shares, rel=1e-6)


def test_the_terms_over_time_sum_to_the_loss():
    run = results(Clusters(), features(output_weight=1.0))[0]
    assert {"task", "outputs", "blocks.0 <- blocks.1"} <= set(run.terms)
    losses = dict(run.curve)
    assert all(sum(values) == pytest.approx(losses[step], rel=2e-3) for step, values in run.term_curve)
    assert len(run.term_curve[0][1]) == len(run.terms)


def test_a_mixed_run_tells_what_it_divided_by_and_what_it_learned():
    summed, fused, mixed = results(
        Clusters(), MANY_TO_ONE, *(replace(MANY_TO_ONE, aggregation=kind) for kind in ("fuse", "mix"))
    ).values()
    assert [len(run.scales) for run in (summed, fused, mixed)] == [2, 1, 1]
    assert [len(run.gradient_shares) for run in (summed, fused, mixed)] == [2, 1, 1]
    assert (summed.norms, summed.mixed_weights, fused.mixed_weights) == ((), (), ())
    assert fused.norms == mixed.norms
    assert len(fused.norms) == 2
    assert fused.first_loss == mixed.first_loss, "weights are learned from the mapping's"
    assert sum(mixed.mixed_weights) == pytest.approx(1)
    assert mixed.mixed_weights != pytest.approx((0.5, 0.5), abs=1e-4)


def test_what_the_gate_held_back_is_noted():
    run = results(Clusters(), features(balance="gate", output_weight=1.0))[0]
    assert run.state == "complete"
    assert all(re.fullmatch(r"term `.* <- .*` opposed the task in \d+% of the steps", note) for note in run.notes)
    assert run.notes


def test_the_verdicts_split_is_measured_on_other_samples():
    loaded = load(Clusters())
    space, (plan,) = make_space(loaded), make_plans(LOGITS)
    losses = []
    for split in ("valid", "test"):
        here = type(plan)(**{**vars(plan), "split": split})
        *_, run = distill(loaded, space, TRAIN, (here,))
        losses.append(run.metrics["loss"])
    assert losses[0] != losses[1]


class NormedClusters(Clusters):
    def student(self):
        student = super().student()
        for module in student.modules():
            if isinstance(module, torch.nn.Linear):
                torch.nn.utils.parametrizations.weight_norm(module)
        return student


class OldNormedClusters(Clusters):
    def student(self):
        student = super().student()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # deprecated, and in many checkpoints
            torch.nn.utils.weight_norm(next(m for m in student.modules() if isinstance(m, torch.nn.Linear)))
        return student


@pytest.mark.parametrize("task", [NormedClusters, OldNormedClusters])
def test_a_student_that_cannot_be_deep_copied_is_trained(task):
    assert results(task(), features())[0].state == "complete"


def test_under_sgd_a_feature_share_is_no_learning_rate():
    """With features that have faded, the student learns as fast at a share of 0.9 as at 0.1."""
    train = TRAIN.model_copy(update={"optimizer": "sgd", "lr": 0.02, "max_grad_norm": 1e6})
    loss = {share: results(Clusters(), features(share=share, anneal=1e-9), train=train)[0].metrics["loss"]
            for share in (0.1, 0.9)}  # fmt: skip
    untrained = results(Clusters(), NONE, train=train.model_copy(update={"lr": 1e-9}))[0].metrics["loss"]
    assert untrained - loss[0.9] > 0.5 * (untrained - loss[0.1]) > 0
