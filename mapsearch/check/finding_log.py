"""What the checks write into: findings, measurements, and the user's exceptions as findings."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mapsearch.core.errors import MapsearchError
from mapsearch.core.findings import Finding, Level
from mapsearch.tasks.user_code import failure


@dataclass
class FindingLog:
    """`measured` holds fields of the report by name, `seconds` what was timed."""

    findings: list[Finding] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, level: Level, code: str, message: str) -> None:
        """Add a finding; its code is `topic.condition`."""
        self.findings.append(Finding(level, code, message))

    def has_errors(self, *topics: str) -> bool:
        """Whether there is an error, in one of these topics if any are named."""
        return any(f.level == "error" and (not topics or f.topic in topics) for f in self.findings)

    @contextmanager
    def guard(self, topic: str, action: str) -> Iterator[None]:
        """Turn any exception into error findings under that topic; only Ctrl-C passes."""
        try:
            yield
        except MapsearchError as error:
            for problem in error.problems:
                self.add("error", f"{topic}.refused", problem)
        except (Exception, SystemExit) as error:  # user code may call `sys.exit`, which must not end the check
            self.add("error", f"{topic}.failed", failure(action, error))
