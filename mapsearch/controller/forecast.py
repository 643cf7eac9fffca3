"""What a study will take: the stages that the search decides, at the speed that the check measured."""

from collections.abc import Sequence
from dataclasses import replace

from mapsearch.core.execution import Execution
from mapsearch.core.findings import CheckReport
from mapsearch.core.forecast import StageForecast, forecast_text
from mapsearch.executors.local import n_workers


def with_forecast(report: CheckReport, stages: Sequence[StageForecast], execution: Execution) -> CheckReport:
    """The report with its forecast, if a step could be timed."""
    if "step" not in report.seconds:
        return report
    seconds = report.seconds["step"], report.seconds.get("evaluation", 0.0)
    text = forecast_text(stages, *seconds, n_workers(execution))
    return replace(report, forecast=text)
