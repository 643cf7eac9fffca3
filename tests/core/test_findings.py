import json

from mapsearch.core.findings import CheckReport, Finding
from mapsearch.core.layers import Layer


def test_errors_are_the_findings_that_stop_a_study():
    findings = tuple(Finding(level, "teacher.blank", level) for level in ("ok", "error", "warning", "error"))
    assert CheckReport(findings).errors == (findings[1], findings[3])


def test_the_topic_is_the_first_part_of_the_code():
    assert Finding("ok", "self-test.zero_loss", "").topic == "self-test"


def test_json_holds_everything_and_null_for_what_is_not_a_number():
    layer = Layer("a", "Conv2d", "map", (4, 3, 3), 1)
    report = CheckReport(
        (Finding("ok", "data.sizes", "80 samples"),), student=(layer,), teacher_metrics={"loss": float("nan")}
    )
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["findings"] == [{"level": "ok", "topic": "data", "code": "data.sizes", "message": "80 samples"}]
    assert data["student"] == [layer.to_json()]
    assert data["teacher"] == []
    assert data["teacher_metrics"] == {"loss": None}
