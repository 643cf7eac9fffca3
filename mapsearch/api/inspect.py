"""What can be asked about a study before it runs: its layers, their similarity, and whether everything is in order."""

from mapsearch.check import check
from mapsearch.controller.forecast import with_forecast
from mapsearch.core.findings import CheckReport
from mapsearch.core.layers import Layer
from mapsearch.core.similarity import Similarity
from mapsearch.core.spec import StudySpec
from mapsearch.features.kinds import require_known_layers
from mapsearch.features.layers import choose_layers, list_layers
from mapsearch.search import forecast_stages
from mapsearch.similarity.measure import measure_similarity
from mapsearch.tasks.batches import train_batches
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import cache_folder, load_task
from mapsearch.tasks.nested import batch_size
from mapsearch.tasks.precision import forward_in


def layers_of(spec: StudySpec, storage: str) -> dict[str, tuple[Layer, ...]]:
    """All layers of both networks, `student` and `teacher`, as seen on one training batch."""
    return _layers(_loaded(spec, storage), spec)


def similarity_of(spec: StudySpec, storage: str) -> Similarity:
    """The similarity of the layers that take part, measured now."""
    loaded = _loaded(spec, storage)
    layers = _layers(loaded, spec)
    student = choose_layers("student", loaded.new_student(spec.seed), layers["student"], spec.layers.student)
    teacher = choose_layers("teacher", loaded.teacher, layers["teacher"], spec.layers.teacher)
    return measure_similarity(loaded, spec.train, spec.similarity, student, teacher, spec.seed)


def check_of(spec: StudySpec, storage: str) -> CheckReport:
    """The preflight of a study: all findings, and a forecast of what it will cost."""
    return with_forecast(check(_loaded(spec, storage), spec), forecast_stages(spec), spec.execution)


def _loaded(spec: StudySpec, storage: str) -> LoadedTask:
    return load_task(spec.task_reference(cache_folder(storage, spec.name)), spec.execution)


def _layers(loaded: LoadedTask, spec: StudySpec) -> dict[str, tuple[Layer, ...]]:
    batch = next(train_batches(loaded, spec.train.batch_size, spec.seed, 1))
    networks = {"student": loaded.new_student(spec.seed), "teacher": loaded.teacher}
    forward = forward_in(spec.train.precision, loaded)
    listed = {
        name: list_layers(model, lambda m: forward(m, batch), batch_size(batch), spec.layers.kinds)
        for name, model in networks.items()
    }
    require_known_layers(spec.layers.kinds, [*listed["student"], *listed["teacher"]])
    return listed
