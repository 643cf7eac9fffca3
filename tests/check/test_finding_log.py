import pytest

from mapsearch.check.finding_log import FindingLog
from mapsearch.core.errors import TaskError


def guarded(error):
    log = FindingLog()
    with log.guard("data", "reading the samples"):
        raise error
    return [(finding.level, finding.code, finding.message) for finding in log.findings]


def test_each_problem_of_an_error_of_ours_is_a_finding():
    assert guarded(TaskError("one", "two")) == [
        ("error", "data.refused", "one"),
        ("error", "data.refused", "two"),
    ]


@pytest.mark.parametrize(("error", "named"), [(KeyError("labels"), "KeyError"), (SystemExit(3), "sys.exit")])
def test_an_exception_of_the_users_code_is_a_finding_with_its_line(error, named):
    ((level, code, message),) = guarded(error)
    assert (level, code) == ("error", "data.failed")
    assert "reading the samples" in message
    assert named in message
    assert "test_finding_log.py:" in message


def test_ctrl_c_passes():
    with pytest.raises(KeyboardInterrupt):
        guarded(KeyboardInterrupt())


def test_errors_can_be_asked_for_by_topic():
    log = FindingLog()
    log.add("warning", "teacher.weak", "…")
    assert not log.has_errors()
    log.add("error", "data.overlap", "…")
    assert log.has_errors()
    assert log.has_errors("data", "layers")
    assert not log.has_errors("teacher")
