"""What can be asked about a study before it runs: its layers, their similarity, and whether everything is in order."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from mapsearch.check import check
from mapsearch.check.study_layers import study_layers
from mapsearch.controller.forecast import with_forecast
from mapsearch.core.errors import LayerNotFound
from mapsearch.core.findings import CheckReport
from mapsearch.core.folders import cache_folder
from mapsearch.core.layers import Layer
from mapsearch.core.similarity import Similarity
from mapsearch.core.spec import StudySpec
from mapsearch.features.kinds import require_known_layers
from mapsearch.features.layers import choose_layers
from mapsearch.similarity.measure import measure_similarity
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import load_task
from mapsearch.tasks.training_batches import train_batches


@dataclass(frozen=True)
class NetworkLayers:
    """All layers of a network, and the paths of those that take part; none where the study file names them wrongly."""

    listed: tuple[Layer, ...]
    taking_part: frozenset[str] = frozenset()


def layers_of(spec: StudySpec, storage: str) -> dict[str, NetworkLayers]:
    """All layers of both networks, `student` and `teacher`, as seen on two training batches."""
    loaded = _loaded(spec, storage)
    layers = _layers(loaded, spec)
    models = {"student": loaded.new_student(spec.seed), "teacher": loaded.teacher}
    return {name: NetworkLayers(layers[name], _taking_part(name, models[name], layers[name], spec)) for name in layers}


def _taking_part(network: str, model: nn.Module, layers: Sequence[Layer], spec: StudySpec) -> frozenset[str]:
    try:
        return frozenset(layer.path for layer in choose_layers(network, model, layers, getattr(spec.layers, network)))
    except LayerNotFound:  # what there is to choose from is asked for all the more
        return frozenset()


def similarity_of(spec: StudySpec, storage: str) -> Similarity:
    """The similarity of the layers that take part, measured now."""
    loaded = _loaded(spec, storage)
    layers = _layers(loaded, spec)
    student = choose_layers("student", loaded.new_student(spec.seed), layers["student"], spec.layers.student)
    teacher = choose_layers("teacher", loaded.teacher, layers["teacher"], spec.layers.teacher)
    return measure_similarity(loaded, spec.train, spec.similarity, student, teacher, spec.seed)


def check_of(spec: StudySpec, storage: str) -> CheckReport:
    """The preflight of a study: all findings, and a forecast of what it will cost."""
    return with_forecast(check(_loaded(spec, storage), spec), spec)


def _loaded(spec: StudySpec, storage: str) -> LoadedTask:
    return load_task(spec.task_reference(cache_folder(storage, spec.name)), spec.execution)


def _layers(loaded: LoadedTask, spec: StudySpec) -> dict[str, tuple[Layer, ...]]:
    batch = next(train_batches(loaded, spec.train.batch_size, spec.seed, 1))
    networks = {"student": loaded.new_student(spec.seed), "teacher": loaded.teacher}
    listed = {
        name: study_layers(loaded, spec.train.precision, model, batch, spec.layers.kinds)
        for name, model in networks.items()
    }
    require_known_layers(spec.layers.kinds, [*listed["student"], *listed["teacher"]])
    return listed
