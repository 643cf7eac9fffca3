"""What a study will take: the stages that the search decides, at the speed that the check measured."""

from dataclasses import replace

from mapsearch import search
from mapsearch.core.findings import CheckReport
from mapsearch.core.forecast import forecast_text
from mapsearch.core.spec import StudySpec
from mapsearch.executors.local import n_workers


def with_forecast(report: CheckReport, spec: StudySpec) -> CheckReport:
    """The report with its forecast, if a step could be timed."""
    if "step" not in report.seconds:
        return report
    seconds = report.seconds["step"], report.seconds.get("evaluation", 0.0)
    text = forecast_text(spec, search.forecast_stages(spec), *seconds, n_workers(spec.execution))
    return replace(report, forecast=text)
