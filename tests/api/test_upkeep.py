import optuna
import pytest

from mapsearch.api import upkeep
from mapsearch.api.launching import study_to_run
from mapsearch.api.queries import list_studies, show
from mapsearch.controller.run import run_study
from mapsearch.core.errors import NoDatabase, SpecError, StoreError, StudyBusy, StudyChanged, StudyNotFound
from mapsearch.core.folders import cache_folder
from mapsearch.store.store import Store


@pytest.fixture
def stopped(spec, url):
    """Storage of the study `tiny`, stopped in the middle of its search."""
    from mapsearch.controller.run import run

    updates = run(spec(), url, inline=True)
    for update in updates:
        if getattr(update, "proposer", "") == "curve":
            break
    updates.close()
    return url


def test_a_renamed_study_goes_on_as_it_would_have(stopped, spec, url, results):
    upkeep.rename("tiny", "small", stopped)
    assert optuna.get_all_study_names(stopped) == ["small"]
    before, _ = (show("small", url), pytest.raises(StudyNotFound))
    run_study(study_to_run("small", (), url)[0], url, inline=True)
    after = show("small", url)
    assert after["state"] == "complete"
    assert after["trials"][: before["n_trials"]][0]["recipe"] == before["trials"][0]["recipe"]
    with pytest.raises(StudyNotFound, match="no study `tiny`"):
        show("tiny", url)
    upkeep.delete("small", url)
    assert optuna.get_all_study_names(url) == []
    with Store.open_to_read(url) as store:
        assert store.studies() == []


def test_what_a_task_keeps_on_disk_goes_with_its_study(spec, url):
    with Store.open(url) as store:
        store.create_study("tiny", spec().to_json(), folder="", study_file="")
    for name, text in (("tiny", "mine"), ("small", "of a study that is long gone")):
        cache_folder(url, name).mkdir(parents=True)
        (cache_folder(url, name) / "teacher").write_text(text)
    upkeep.rename("tiny", "small", url)
    assert not cache_folder(url, "tiny").exists()
    assert (cache_folder(url, "small") / "teacher").read_text() == "mine"
    upkeep.rename("small", "tiny", url)
    upkeep.delete("tiny", url)
    assert list(cache_folder(url, "tiny").parent.iterdir()) == []


def test_a_copy_goes_on_by_itself(stopped, url):
    kept = cache_folder(url, "tiny")
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "teacher.pt").write_text("weights")
    upkeep.copy("tiny", "twin", stopped)
    assert sorted(optuna.get_all_study_names(stopped)) == ["tiny", "twin"]
    assert (cache_folder(url, "twin") / "teacher.pt").read_text() == "weights"
    first, twin = show("tiny", url), show("twin", url)
    assert {**twin, "name": "tiny"} == first
    with Store.open_to_read(url) as store:
        assert [run.result for run in store.runs("twin")] == [run.result for run in store.runs("tiny")]
        assert [event.message for event in store.events("twin")] == [event.message for event in store.events("tiny")]
    run_study(study_to_run("twin", (), url)[0], url, inline=True)
    assert (show("twin", url)["state"], show("tiny", url)) == ("complete", first)
    upkeep.delete("twin", url)
    assert show("tiny", url) == first


def test_a_copy_takes_no_name_that_is_there(stopped):
    optuna.create_study(storage=stopped, study_name="theirs").add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(StudyChanged, match="`tiny` already"):
        upkeep.copy("tiny", "tiny", stopped)
    with pytest.raises(StoreError, match="foreign Optuna study `theirs`"):
        upkeep.copy("tiny", "theirs", stopped)
    assert len(list_studies(stopped)) == 1


def test_a_copy_that_was_cut_off_is_no_foreign_study(stopped):
    storage = optuna.storages.RDBStorage(stopped)
    optuna.copy_study(from_study_name="tiny", from_storage=storage, to_storage=storage, to_study_name="twin")
    storage.remove_session()
    storage.engine.dispose()
    upkeep.copy("tiny", "twin", stopped)
    assert {study.name for study in list_studies(stopped)} == {"tiny", "twin"}


def test_what_runs_is_neither_renamed_nor_deleted(stopped):
    with Store.open(stopped) as store, store.control("tiny") as study:
        study.set_state("running")
        for act in (lambda: upkeep.rename("tiny", "small", stopped), lambda: upkeep.delete("tiny", stopped)):
            with pytest.raises(StudyBusy, match="study `tiny` is run by process"):
                act()
    assert show("tiny", stopped)["state"] == "stopped"


@pytest.mark.parametrize("name", ["", "../x", "a b", "a\n", "-a", "x" * 101])
def test_a_name_that_is_none_is_refused(name, url):
    with pytest.raises(SpecError, match="name must be letters"):
        upkeep.rename("tiny", name, url)


def test_a_name_that_is_taken_is_refused(stopped):
    with Store.open(stopped) as store:
        store.create_study("small", {}, folder="", study_file="")
    with pytest.raises(StudyChanged, match="`small` already"):
        upkeep.rename("tiny", "small", stopped)
    assert optuna.get_all_study_names(stopped) == ["tiny"]


def test_nothing_makes_a_database(url):
    for act in (
        lambda: upkeep.rename("a", "b", url),
        lambda: upkeep.delete("a", url),
        lambda: upkeep.note("a", "", url),
    ):
        with pytest.raises(NoDatabase):
            act()


def test_a_note_stays_with_the_study(stopped):
    upkeep.note("tiny", "zwei\nZeilen\0", stopped)
    assert show("tiny", stopped)["note"] == "zwei\nZeilen\\x00"
    with pytest.raises(SpecError, match="20000 characters"):
        upkeep.note("tiny", "x" * 20_001, stopped)
