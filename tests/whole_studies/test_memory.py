"""Whole studies whose processes may have only so much memory: who asks for more is told, all else comes through."""

import pytest
from study_fixtures import write
from study_processes import check_undisturbed, end

from mapsearch.controller.run import run_study
from mapsearch.core.study_file import load_study
from mapsearch.store.store import Store

HUNGRY = """

class Hungry(Clusters):
    \"\"\"May take 256 MB more than it has; the network that its file `hungry` names takes 1 GB.\"\"\"

    def __init__(self):
        super().__init__()
        import resource

        status = pathlib.Path("/proc/self/status").read_text()
        kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData"))
        resource.setrlimit(resource.RLIMIT_DATA, (kilobytes * 1024 + 2**28,) * 2)

    def made(self, name, network):
        file = pathlib.Path(__file__).with_name("hungry")
        if file.exists() and file.read_text() == name:
            network.register_forward_pre_hook(lambda *_: torch.zeros(2**28) and None)
        return network

    def teacher(self):
        return self.made("teacher", super().teacher())

    def student(self):
        return self.made(f"student of seed {torch.initial_seed()}", super().student())
"""
STUDY = {"task": "task.py:Hungry", "train": {"batch_size": 3, "steps": 60}}
"""Its batches are too small to be trained in parts, which would take a new process for each try."""


def write_hungry(folder):
    study = write(folder, **STUDY)
    with (folder / "task.py").open("a") as task:
        task.write(HUNGRY)
    return study


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    run_study(load_study(write(folder, **{**STUDY, "task": "task.py:Clusters"})), f"sqlite:///{folder / 'study.db'}")
    return f"sqlite:///{folder / 'study.db'}"


@pytest.mark.slow
def test_runs_that_take_too_much_memory_fail_alone_and_the_same_command_makes_up_for_them(
    mapsearch, tmp_path, url, undisturbed, results
):
    study = write_hungry(tmp_path / "study")
    seed = max(run.seed for run in results(undisturbed)[1])
    (study.parent / "hungry").write_text(f"student of seed {seed}")
    code, said = end(mapsearch("run", study, "--storage", url))
    assert code == 0, said
    runs = results(url)[1]
    failed = [run for run in runs if run.seed == seed]
    assert failed
    assert all(run.state == "oom" and "`train.batch_size`" in run.result.error for run in failed)
    assert {(run.state, run.attempt) for run in runs if run.seed != seed} == {("complete", 1)}
    assert "not cached: memory did not suffice" in said
    (study.parent / "hungry").unlink()
    code, said = end(mapsearch("run", study, "--storage", url))
    assert code == 0, said
    check_undisturbed(url, undisturbed, results, attempts=range(1, 9))
    assert {run.key for run in results(url)[1] if run.attempt > 1} == {run.key for run in failed}


@pytest.mark.slow
def test_a_teacher_that_takes_too_much_memory_is_told_in_the_check(mapsearch, tmp_path, url, undisturbed, results):
    study = write_hungry(tmp_path / "study")
    (study.parent / "hungry").write_text("teacher")
    code, said = end(mapsearch("run", study, "--storage", url))
    assert code == 2
    assert "memory ran out: end other programs" in said
    with Store.open(url) as store:
        assert (store.study("tiny").state, store.runs("tiny")) == ("failed", [])
    (study.parent / "hungry").unlink()
    code, said = end(mapsearch("run", study, "--storage", url))
    assert code == 0, said
    check_undisturbed(url, undisturbed, results)
