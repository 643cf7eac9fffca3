from small_tasks import Clusters, load, make_plans, make_space

from mapsearch.core.events import Progress, RunsStarted
from mapsearch.core.execution import Execution
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.spec import TrainSpec
from mapsearch.executors.inline import InlineExecutor


def test_cohorts_are_trained_one_after_the_other():
    loaded = load(Clusters())
    executor = InlineExecutor(loaded, make_space(loaded), TrainSpec(steps=12, batch_size=16), Execution())
    one, two, three = make_plans(Recipe(), Recipe(logit_weight=1.0), Recipe(logit_weight=3.0))
    events = [event for event in executor.run([(one, two), (three,)]) if not isinstance(event, Progress)]
    assert [type(event) for event in events] == [RunsStarted, RunResult, RunResult, RunsStarted, RunResult]
    assert events[0].plans == (one, two)
    assert [event.key for event in events if isinstance(event, RunResult)] == [one.key, two.key, three.key]
    assert list(executor.run([])) == []
    executor.close()
