"""Studies that the service starts: they outlive it, and it outlives them."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from study_fixtures import write

import mapsearch
from mapsearch.api.queries import list_studies


@pytest.fixture
def place(tmp_path):
    """(folder of study folders, storage)"""
    root = tmp_path / "studies"
    root.mkdir()
    return root, f"sqlite:///{tmp_path / 'study.db'}"


def state(storage, name="tiny"):
    return {study.name: study.state for study in list_studies(storage)}[name]


def pid_of(storage):
    from sqlalchemy import create_engine, text

    engine = create_engine(storage)
    with engine.connect() as db:
        pid = db.execute(text("SELECT lease_pid FROM mapsearch_studies WHERE lease_owner IS NOT NULL")).scalar()
    engine.dispose()
    return pid


def test_a_study_is_launched_watched_and_exported_over_http(start, place, eventually):
    root, storage = place
    write(root / "tiny")
    service = start("--storage", storage, "--studies", root)
    made = service.call("POST", "/studies", {"folder": "tiny", "settings": {"seed": 3}})
    assert (made.status, made.json["state"]) == (201, "queued")
    eventually(lambda: state(storage) == "complete", seconds=200)
    shown = service.call("GET", "/studies/tiny").json
    assert (shown["state"], shown["verdict"]["nominee"] is not None) == ("complete", True)
    file = service.call("GET", "/studies/tiny/exports/torch")
    assert file.headers["content-disposition"].endswith('.py"')
    compile(file.body, "export.py", "exec")
    events = service.call("GET", "/studies/tiny/events").json
    assert [event["id"] for event in events] == sorted(event["id"] for event in events)
    assert service.call("DELETE", "/studies/tiny?confirm=other").status == 422
    assert service.call("DELETE", "/studies/tiny?confirm=tiny").status == 200
    assert service.call("GET", "/studies").json == []


@pytest.mark.slow
def test_a_study_is_ported_over_http_and_says_what_held(start, place, finished, eventually):
    root, storage = place
    shutil.copy(finished[0].parent / "study.db", root.parent / "study.db")
    write(root / "deeper", name="deeper", task="task.py:Deeper", search={"trials": 3})
    service = start("--storage", storage, "--studies", root)
    client = mapsearch.Client(f"http://127.0.0.1:{service.port}", token=service.act)
    made = client.port("tiny", "deeper", {"seed": 3})
    assert (made["name"], made["state"]) == ("deeper", "queued")
    eventually(lambda: state(storage, "deeper") == "complete", seconds=200)
    found = client.show("deeper")
    assert (found["port"]["name"], found["verdict"]["nominee"] is not None) == ("tiny", True)
    assert found["port"]["n_compared"] >= 2
    again = [trial for trial in client.trials("deeper") if trial["proposer"] == "ported"]
    assert len(again) >= len(found["port"]["again"]) > 0
    students = {pair["student"] for trial in again for pair in trial["recipe"]["pairs"]}
    assert students <= {f"blocks.{i}" for i in range(3)}, "the new student's own layers"


@pytest.mark.slow
def test_a_killed_service_leaves_its_study_running_and_the_next_one_stops_it(start, place, eventually):
    root, storage = place
    write(root / "tiny", search={"trials": 500}, budget=1000)
    first = start("--storage", storage, "--studies", root)
    assert first.call("POST", "/studies", {"folder": "tiny"}).status == 201
    eventually(lambda: state(storage) == "running", seconds=120)
    pid = pid_of(storage)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    second = start("--storage", storage, "--studies", root)
    assert second.call("POST", "/studies/tiny/resume").status == 409  # it runs: there is nothing to resume
    assert (state(storage), pid_of(storage)) == ("running", pid)
    assert second.call("POST", "/studies/tiny/stop").status == 202
    eventually(lambda: state(storage) == "stopped", seconds=120)


@pytest.mark.slow
def test_a_study_that_was_killed_is_told_and_goes_on_when_it_is_resumed(start, place, eventually):
    root, storage = place
    write(root / "tiny", search={"trials": 500}, budget=1000)
    service = start("--storage", storage, "--studies", root)
    service.call("POST", "/studies", {"folder": "tiny"})
    eventually(lambda: state(storage) == "running", seconds=120)
    os.kill(pid_of(storage), signal.SIGKILL)
    eventually(lambda: state(storage) == "stopped")
    eventually(
        lambda: any("signal 9" in event["message"] for event in service.call("GET", "/studies/tiny/events").json)
    )
    assert service.call("POST", "/studies/tiny/resume").json["state"] == "queued"
    eventually(lambda: state(storage) == "running", seconds=120)
    service.call("POST", "/studies/tiny/stop")
    eventually(lambda: state(storage) == "stopped", seconds=120)


@pytest.mark.slow
def test_one_study_runs_at_a_time_and_a_broken_one_makes_place(start, place, eventually):
    root, storage = place
    write(root / "broken", name="broken", task="task.py:Missing")
    write(root / "tiny")
    service = start("--storage", storage, "--studies", root, "--max-running", "1")
    for folder in ("broken", "tiny"):
        assert service.call("POST", "/studies", {"folder": folder}).status == 201
    eventually(lambda: state(storage, "broken") == "failed", seconds=120)
    assert any("Missing" in event["message"] for event in service.call("GET", "/studies/broken/events").json)
    eventually(lambda: state(storage) != "queued", seconds=120)
    service.call("POST", "/studies/tiny/stop")
    assert Path(f"/proc/{service.process.pid}").exists()


def n_children(service):
    """How many processes the service has that it has not yet taken note of, those that ended included."""
    pid = service.process.pid
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(len((thread / "children").read_text().split()) for thread in threads)


@pytest.fixture(scope="module")
def launching(start, tmp_path_factory):
    """(service, storage, launch): `launch(name, seconds)` starts a long study of that name and gives it so long."""
    folder = tmp_path_factory.mktemp("launching")
    (folder / "studies").mkdir()
    write(folder / "studies" / "tiny", search={"trials": 500}, budget=1000)
    storage = f"sqlite:///{folder / 'study.db'}"
    service = start("--storage", storage, "--studies", folder / "studies", "--max-running", "1")

    def launch(name, seconds):
        made = service.call("POST", "/studies", {"folder": "tiny", "settings": {"name": name}})
        assert made.status == 201, made.body
        time.sleep(seconds)

    return service, storage, launch


def names(storage):
    return {study.name for study in list_studies(storage)}


MOMENTS = (0, 3)
"""Seconds after a launch: before its process, while that comes up, and, on a fast machine, once it has the study."""


@pytest.mark.slow
@pytest.mark.parametrize("seconds", MOMENTS)
def test_a_stop_right_after_the_launch_holds(launching, eventually, seconds):
    service, storage, launch = launching
    name = f"stopped-{seconds}"
    launch(name, seconds)
    assert service.call("POST", f"/studies/{name}/stop").status == 202
    eventually(lambda: state(storage, name) == "stopped" and not n_children(service), seconds=200)
    assert service.call("GET", f"/studies/{name}/events").json == []  # nothing failed


@pytest.mark.slow
@pytest.mark.parametrize("seconds", MOMENTS)
def test_a_study_that_is_renamed_right_after_the_launch_runs_once_under_its_new_name(launching, eventually, seconds):
    service, storage, launch = launching
    old, new = f"old-{seconds}", f"new-{seconds}"
    launch(old, seconds)
    answer = service.call("PATCH", f"/studies/{old}", {"name": new})
    assert answer.status in (200, 409), answer.body  # 409: its process has it already
    kept, other = (new, old) if answer.status == 200 else (old, new)
    eventually(lambda: state(storage, kept) in ("checking", "running"), seconds=200)
    assert service.call("POST", f"/studies/{kept}/stop").status == 202
    eventually(lambda: state(storage, kept) == "stopped" and not n_children(service), seconds=200)
    assert kept in names(storage)
    assert other not in names(storage)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", MOMENTS)
def test_a_study_that_is_deleted_right_after_the_launch_does_not_come_back(launching, eventually, seconds):
    service, storage, launch = launching
    name = f"deleted-{seconds}"
    launch(name, seconds)
    answer = service.call("DELETE", f"/studies/{name}?confirm={name}")
    assert answer.status in (200, 409), answer.body
    if answer.status == 409:
        assert service.call("POST", f"/studies/{name}/stop").status == 202
    eventually(lambda: not n_children(service), seconds=200)
    assert (name in names(storage)) == (answer.status == 409)


@pytest.mark.slow
def test_a_service_that_is_killed_five_times_loses_and_repeats_nothing(start, place, eventually, finished, results):
    root, storage = place
    write(root / "tiny")
    service = start("--storage", storage, "--studies", root)
    assert service.call("POST", "/studies", {"folder": "tiny"}).status == 201
    for moment in range(0, 10, 2):
        time.sleep(0.15 * moment)
        service.process.kill()
        service.process.wait()
        service = start("--storage", storage, "--studies", root)
        assert service.call("GET", "/studies/tiny").status == 200
    eventually(lambda: state(storage) == "complete" and not n_children(service), seconds=250)
    assert names(storage) == {"tiny"}
    assert results(storage, reproducible=True) == results(finished[1], reproducible=True)
    assert {run.attempt for run in results(storage)[1]} == {1}
