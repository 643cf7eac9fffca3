"""What the checks write into: findings, measurements, and the user's exceptions as findings."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mapsearch.core.errors import MapsearchError
from mapsearch.core.findings import Finding, Level
from mapsearch.tasks.loading import describe


@dataclass
class FindingLog:
    """`measured` holds fields of the report by name, `seconds` what was timed."""

    findings: list[Finding] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def write(self, level: Level, what: str, message: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(level, what, message))

    @property
    def has_errors(self) -> bool:
        """Whether anything must be put right."""
        return any(finding.level == "error" for finding in self.findings)

    @contextmanager
    def guard(self, what: str, doing: str) -> Iterator[None]:
        """Turn any exception into error findings under that topic."""
        try:
            yield
        except MapsearchError as error:
            for problem in error.problems:
                self.write("error", what, problem)
        except Exception as error:
            self.write("error", what, f"{doing} failed: {describe(error)}")
