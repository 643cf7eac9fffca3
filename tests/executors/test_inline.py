from small_tasks import Clusters, Crowded, load, make_plans, make_space

from mapsearch.core.events import Progress, RunsStarted
from mapsearch.core.execution import Execution
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.executors.inline import InlineExecutor
from mapsearch.executors.scheduler import Scheduler
from mapsearch.executors.session import Session


def run(task, cohorts):
    """All events but progress of the cohorts."""
    loaded = load(task)
    session = Session(loaded, make_space(load(Clusters())), TrainSpec(steps=12, batch_size=16), 2**20)
    scheduler = Scheduler(InlineExecutor(session), Execution())
    scheduler.submit(cohorts)
    events = []
    while not scheduler.is_done:
        events += [event for event in scheduler.events() if not isinstance(event, Progress)]
    scheduler.close()
    return events


def test_cohorts_are_trained_one_after_the_other():
    one, two, three = make_plans(Recipe(), Recipe(output_weight=1.0), Recipe(output_weight=3.0))
    events = run(Clusters(), [(one, two), (three,)])
    assert [type(event) for event in events] == [RunsStarted, RunResult, RunResult, RunsStarted, RunResult]
    assert events[0].plans == (one, two)
    assert [event.key for event in events if isinstance(event, RunResult)] == [one.key, two.key, three.key]
    assert run(Clusters(), []) == []


def test_a_cohort_out_of_memory_goes_on_in_smaller_ones():
    mapped = Recipe(LayerMapping((Pair("blocks.0", "blocks.1", 1.0),)), feature_share=0.5)
    plans = make_plans(*[mapped] * 3)
    events = run(Crowded(limit=2), [plans])
    assert {event.key: event.state for event in events if isinstance(event, RunResult)} == {
        plan.key: "complete" for plan in plans
    }
    assert [len(event.plans) for event in events if isinstance(event, RunsStarted)] == [3, 1, 2]
