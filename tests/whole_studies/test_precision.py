"""A teacher in half precision, through everything that looks at it before, in and after training."""

import math

import torch
from findings import codes, message
from small_tasks import Clusters, Net, Points, load, make_plans

from mapsearch.check import check
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.distill import distill
from mapsearch.distill.worker_state import open_worker_state
from mapsearch.similarity.measure import measure_similarity
from mapsearch.tasks.evaluation import evaluate


class Half(Clusters):
    """A teacher trained in a blink, and kept in bfloat16."""

    def teacher(self):
        torch.manual_seed(0)
        teacher, data = Net(16, 4), Points(256, 9)
        optimizer = torch.optim.Adam(teacher.parameters(), lr=0.01)
        for _ in range(40):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(teacher(data.x), data.y).backward()
            optimizer.step()
        return teacher.bfloat16()


def study(precision):
    return StudySpec(name="half", task="t.py:T", train={"steps": 10, "batch_size": 16, "precision": precision})


def test_a_half_precision_teacher_passes_check_similarity_evaluation_and_the_cache():
    loaded, spec = load(Half()), study("bfloat16")
    report = check(loaded, spec)
    assert codes(report, "error") == []
    assert report.teacher_metrics["accuracy"] > 0.6
    similarity = measure_similarity(loaded, spec.train, spec.similarity, report.student, report.teacher, spec.seed)
    assert all(math.isfinite(value) for row in similarity.values for value in row)
    state = open_worker_state(loaded, spec.train)
    assert state.cache is not None
    recipe = Recipe(LayerMapping((Pair("blocks.0", "blocks.1", 1.0),)), feature_share=0.5, output_weight=1.0)
    events = distill(loaded, RecipeSpace(report.student, report.teacher), spec.train, make_plans(recipe), state)
    (run,) = (event for event in events if isinstance(event, RunResult))
    assert run.state == "complete"
    assert evaluate(loaded, [loaded.teacher], loaded.valid, spec.train) == [report.teacher_metrics]


def test_where_passes_compute_in_float32_the_way_out_is_named():
    report = check(load(Half()), study("float32"))
    assert "teacher.half_precision" in codes(report, "warning")
    assert "`train.precision: bfloat16`" in message(report, "teacher.half_precision")
