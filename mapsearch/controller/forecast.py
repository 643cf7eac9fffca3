"""What a study will take and can see: the stages that the search decides, at the speed that the check measured."""

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
    stages = search.forecast_stages(spec, report.outputs)
    seconds = report.seconds["step"], report.seconds.get("evaluation", 0.0)
    text = forecast_text(stages, *seconds, n_workers(spec.execution))
    return replace(report, forecast=f"{text}; {search.budget_sentence(spec, stages)}")
