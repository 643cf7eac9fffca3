"""A study after its controls, steered by the real loop, whose workers do what a test says."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from fake_executor import ObedientExecutor, complete

from mapsearch.controller import stages
from mapsearch.controller.context import StudyContext
from mapsearch.controller.interrupt import Interrupt
from mapsearch.core.layers import Layer
from mapsearch.core.outputs import CLASS_SCORES
from mapsearch.core.recipe import Recipe
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.study_file import stored_study
from mapsearch.executors.scheduler import Scheduler
from mapsearch.store.spool import Spool
from mapsearch.store.store import Store

PLAIN = {"none": Recipe(), "outputs": Recipe(output_weight=1.0, temperature=2.0)}
STUDY = {
    "name": "tiny", "task": "task.py:Clusters",
    "train": {"steps": 12},
    "space": {"loss": ["nmse"], "output_weight": [1.0], "temperature": [2.0], "task_weight": [1.0], "lr": [1.0]},
    "search": {"trials": 12, "batch": 4, "noise_seeds": 2}, "confirm": {"finalists": 1, "seeds": 2},
}  # fmt: skip


@pytest.fixture
def open_context(tmp_path) -> Iterator[Callable[..., StudyContext]]:
    """`open_context(n_workers, slow, outcome, **search)` -> the context of a study; again: of the same study."""
    space = RecipeSpace(
        *(tuple(Layer(f"{x}.{i}", "B", "vector", (8,), 1) for i in range(n)) for x, n in (("s", 2), ("t", 4)))
    )
    rows = ((0.9, 0.1, 0.0, 0.0), (0.0, 0.8, 0.7, 0.1))
    similarity = Similarity(space.student_layers, space.teacher_layers, rows, 0.05, "cka", 64, "")
    with ExitStack() as stack:

        def open_one(n_workers=1, slow=(), outcome=complete, name="tiny", **search):
            spec = stored_study({**STUDY, "name": name, "search": {**STUDY["search"], **search}})
            store = stack.enter_context(Store.open(f"sqlite:///{tmp_path / 'study.db'}"))
            store.create_study(name, spec.to_json(), folder="", study_file="")
            study = store.control(name)
            executor = ObedientExecutor(n_workers, slow, outcome)
            scheduler = Scheduler(executor, spec.execution)
            return StudyContext(
                stack.enter_context(study), spec, space, similarity, CLASS_SCORES, scheduler, Interrupt(),
                Spool(tmp_path / "unwritten.jsonl"),
            )  # fmt: skip

        yield open_one


@pytest.fixture
def with_controls(open_context) -> Callable[..., StudyContext]:
    """`open_context` with the stages before the search done."""

    def open_one(**options):
        context = open_context(**options)
        for _ in stages.tune(context):
            pass
        for _ in stages.noise(context, PLAIN):
            pass
        return context

    return open_one


@pytest.fixture
def copied(finished, tmp_path):
    """A study file and a database of its own with the finished study in it."""
    folder = shutil.copytree(finished[0].parent, tmp_path / "copy")
    return folder / "study.yaml", f"sqlite:///{folder / 'study.db'}"
