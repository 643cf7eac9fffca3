import pytest

from mapsearch.api import launching
from mapsearch.api.queries import list_studies
from mapsearch.controller.run import run_study
from mapsearch.core.errors import SpecError, StudyBusy, StudyChanged, StudyNotFound
from mapsearch.core.studies import StartRequest
from mapsearch.store.store import Store


def requests(url):
    with Store.open_to_read(url) as store:
        return store.start_requests()


def test_a_study_waits_until_it_is_started_or_stopped(write_study, url):
    path = write_study()
    launching.create(path, ["seed=3"], url)
    assert [study.state for study in list_studies(url)] == ["queued"]
    assert requests(url) == [StartRequest("tiny", str(path.parent), None, 0)]
    launching.stop("tiny", url)
    assert [study.state for study in list_studies(url)] == ["stopped"]
    assert requests(url) == []
    launching.resume("tiny", url)
    with Store.open(url) as store, store.control("tiny") as study:
        study.set_state("checking")
        assert store.start_requests() == []
        assert store.running_here() == {"tiny"}
        with pytest.raises(StudyBusy):
            launching.resume("tiny", url)
    assert requests(url) == []


def test_what_is_run_is_what_was_asked_for(write_study, url):
    path = write_study()
    launching.create(path, ["seed=3", "name=other"], url)
    path.write_text("name: other\n")
    spec, text = launching.study_to_run("other", (), url)
    assert (spec.name, spec.seed, spec.train.steps, spec.folder) == ("other", 3, 12, path.parent)
    assert "metric" not in spec.model_fields_set  # it follows the outputs, as in the file
    assert run_study(spec, url, inline=True).nominee is not None
    again, text = launching.study_to_run("other", ["budget=100"], url)
    assert (again.seed, again.budget, text) == (3, 100, "")


def test_a_name_is_taken_once(write_study, url):
    launching.create(write_study(), (), url)
    with pytest.raises(StudyChanged, match="a study `tiny` already"):
        launching.create(write_study(), (), url)


def test_a_complete_study_is_not_resumed_and_gets_more_seeds_only(finished):
    with pytest.raises(StudyChanged, match="`tiny` is complete"):
        launching.resume("tiny", finished[1])
    with pytest.raises(SpecError, match="must be more than"):
        launching.confirm_more("tiny", 4, finished[1])


def test_a_study_that_has_found_nothing_is_not_ported(write_study, url):
    path = write_study()
    launching.create(path, (), url)
    for old, error, words in (
        ("tinny", StudyNotFound, "did you mean `tiny`"),
        ("tiny", SpecError, "no complete proposal"),
    ):
        with pytest.raises(error, match=words):
            launching.create(path, ["name=deeper"], url, port_of=old)
    with pytest.raises(SpecError, match="cannot be ported to itself"):
        launching.create(path, (), url, port_of="tiny")
    assert [study.name for study in list_studies(url)] == ["tiny"]


def ended(url, reason="killed by signal 9"):
    """What becomes of a study whose process ended as `reason` says, before it had taken the request."""
    with Store.open_to_read(url) as store:
        [request] = store.start_requests()
    launching.record_end(request, reason, url)
    return list_studies(url)[0].state


def test_a_process_that_ends_before_it_has_the_study_fails_it(write_study, url):
    launching.create(write_study(), (), url)
    assert ended(url) == "failed"
    assert requests(url) == []


def test_the_end_of_one_process_takes_nothing_from_the_next_request(write_study, url):
    launching.create(write_study(), (), url)
    [request] = requests(url)
    with Store.open(url) as store, store.control_as_asked("tiny") as (study, _):
        study.set_state("failed")  # it says so itself, and is resumed before anybody has seen that its process is gone
    launching.resume("tiny", url)
    launching.record_end(request, "ended with exit code 2", url)
    assert [request.name for request in requests(url)] == ["tiny"]
    assert list_studies(url)[0].state == "queued"
