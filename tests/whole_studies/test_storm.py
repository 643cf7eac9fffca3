"""A storm of NaN: students that diverge throughout a stage. Every run ends once, and the cause is told."""

from collections.abc import Iterator

import pytest

from mapsearch.controller.run import run
from mapsearch.core.errors import StudyFailed
from mapsearch.core.events import Message
from mapsearch.core.trials import PROPOSALS
from mapsearch.store.store import Store

STORM = """

class Storm(Clusters):
    n_students = 0

    def student(self):
        import pathlib
        file = pathlib.Path(__file__).with_name("storm")
        self.n_students += 1
        strikes = file.exists() and self.n_students % int(file.read_text()) == 0
        return Net(8, 2, patience=2, loud=True) if strikes else Net(8, 2)
"""
"""While its file `storm` holds n, every n-th student diverges in its third step."""


@pytest.fixture
def study(spec):
    loaded = spec(task="task.py:Storm", confirm={"seeds": 2})
    with (loaded.folder / "task.py").open("a") as task:
        task.write(STORM)
    return loaded


def in_a_storm(study, url, every) -> Iterator[object]:
    """The study, with a storm from the beginning of the search to its end."""
    file = study.folder / "storm"
    for update in run(study, url, inline=True):
        if isinstance(update, Message) and update.stage in ("search", "shortlist"):
            file.write_text(str(every)) if update.stage == "search" else file.unlink(missing_ok=True)
        yield update


def check_ended_once(url):
    """Nothing waits or runs any more, and no run was begun twice without need."""
    with Store.open(url) as store:
        assert store.study("tiny").state == "complete"
        assert {trial.state for trial in store.trials("tiny")} <= {"complete", "infeasible"}
        runs = store.runs("tiny")
    assert {run.state for run in runs} <= {"complete", "diverged"}
    return runs


@pytest.mark.slow
def test_when_every_second_student_of_the_search_diverges_the_study_comes_to_its_verdict(study, url, results):
    *_, verdict = in_a_storm(study, url, 2)
    runs = check_ended_once(url)
    assert {run.attempt for run in runs} == {1}
    infeasible = {trial.number for trial in results(url)[0] if trial.state == "infeasible"}
    assert infeasible == {run.trial for run in runs if run.state == "diverged"} != set()
    assert verdict.nominee not in infeasible


@pytest.mark.slow
def test_when_every_student_of_the_search_diverges_the_study_fails_with_the_cause_and_goes_on_when_put_right(
    study, url, results
):
    with pytest.raises(StudyFailed, match=r"stage search: .* diverged: .*term `task`"):
        list(in_a_storm(study, url, 1))
    with Store.open(url) as store:
        assert store.study("tiny").state == "failed"
    (study.folder / "storm").unlink()
    list(run(study, url, inline=True))
    runs = check_ended_once(url)
    assert {run.state for run in runs} == {"complete"}
    struck = {trial.number for trial in results(url)[0] if trial.proposer in PROPOSALS}
    assert {run.attempt for run in runs if run.trial in struck and run.stage == "search"} == {2}
    assert {run.attempt for run in runs if run.trial not in struck} == {1}
