"""The calls of `/api/v1`, a file for each thing that is asked about; a new file has its row here."""

from mapsearch.serve.routes import events, exports, folders, health, runs, studies, trainings

ROUTES = (
    health.router, folders.router, studies.router, runs.router, exports.router, events.router, trainings.router,
)  # fmt: skip
