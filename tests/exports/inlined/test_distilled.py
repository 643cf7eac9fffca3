import pytest
import torch
from small_tasks import Clusters

from mapsearch.core.train_spec import TrainSpec
from mapsearch.exports.inlined.distilled import measured
from mapsearch.tasks.evaluation import evaluate
from mapsearch.tasks.loading import open_task


class NoTest(Clusters):
    def test_data(self):
        return None


@pytest.mark.parametrize("task", [Clusters, NoTest])
def test_a_script_measures_on_the_data_of_the_verdict(task):
    loaded = open_task(task(), "cpu")
    torch.manual_seed(0)
    student = task().student().eval()
    told = measured(loaded.task, student, 16)
    (wanted,) = evaluate(loaded, [student], loaded.test, TrainSpec())
    assert told == pytest.approx({name: wanted[name] for name in told})
    (others,) = evaluate(loaded, [student], loaded.valid, TrainSpec())
    assert told["loss"] != pytest.approx(others["loss"])
