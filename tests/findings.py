"""What tests ask of a report: by code, so that a message may be reworded."""

from mapsearch.core.findings import CheckReport, Level


def codes(report: CheckReport, level: Level) -> list[str]:
    """The codes of all findings of that level, sorted, each once."""
    return sorted({finding.code for finding in report.findings if finding.level == level})


def message(report: CheckReport, code: str) -> str:
    """What the findings of that code say, a line each."""
    messages = [finding.message for finding in report.findings if finding.code == code]
    assert messages, f"no {code} among {[finding.code for finding in report.findings]}"
    return "\n".join(messages)
