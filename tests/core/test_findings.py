import json

from mapsearch.core.findings import CheckReport, Finding
from mapsearch.core.layers import Layer


def test_errors_are_the_findings_that_stop_a_study():
    findings = tuple(Finding(level, "teacher", level) for level in ("ok", "error", "warning", "error"))
    assert CheckReport(findings).errors == (findings[1], findings[3])


def test_json_holds_everything():
    report = CheckReport((Finding("ok", "data", "80 samples"),), student=(Layer("a", "Conv2d", "map", (4, 3, 3), 1),))
    data = json.loads(json.dumps(report.to_json()))
    assert data["findings"] == [{"level": "ok", "what": "data", "message": "80 samples"}]
    assert data["student"] == [report.student[0].to_json()]
    assert data["teacher"] == []
