"""What a reading command is told by a service instead of a database."""

from typing import Any

from mapsearch.core.summaries import StudyOverview, StudySummary

MOST_SHOWN = 1000
"""Proposals of one answer."""


def list_studies(url: str) -> list[StudySummary]:
    """Every study of the service, newest first."""
    from mapsearch.client import Client

    names = StudySummary.__dataclass_fields__  # a newer service may tell more
    told = [{**study, "sentence": study["verdict"]} for study in Client(url).studies()]
    return [StudySummary(**{name: study[name] for name in names}) for study in told]


def show(name: str, url: str, *, after: int, limit: int | None) -> dict[str, Any]:
    """The fields of `mapsearch show --json`; without a limit, every trial."""
    from mapsearch.client import Client

    client = Client(url)
    study = client.show(name, after=after, limit=limit or 1)
    if limit is None:
        study["trials"] = [trial for trial in client.trials(name) if trial["number"] > after]
    return study


def overview(name: str, url: str, n_best: int) -> StudyOverview:
    """The study as `mapsearch show` tells of it."""
    from pydantic import TypeAdapter

    from mapsearch.client import Client

    return TypeAdapter(StudyOverview).validate_python(Client(url).overview(name, n_best))
