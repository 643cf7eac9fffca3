"""The application: calls for programs under `/api/v1`, pages for people, and the gate before both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from mapsearch import __version__
from mapsearch.serve import errors
from mapsearch.serve.gate import Gate
from mapsearch.serve.looks import Looks
from mapsearch.serve.pages import PAGES
from mapsearch.serve.routes import ROUTES
from mapsearch.serve.settings import Settings
from mapsearch.serve.supervisor import Supervisor

SHARED_STYLE = ("mapsearch.report.html", "static")
"""The stylesheet that the pages share with the report."""


def create_app(settings: Settings) -> ASGIApp:
    """Everything that the service answers; `request.app.state.settings` is what it was started with."""
    app = FastAPI(
        title="mapsearch", version=__version__, openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None,
        lifespan=_supervised,
    )  # fmt: skip
    app.state.settings = settings
    app.state.looks = Looks()
    errors.install(app)
    for router in ROUTES:
        app.include_router(router, prefix="/api/v1", responses=errors.ANSWERS)
    for router in PAGES:
        app.include_router(router, include_in_schema=False)
    static = StaticFiles(directory=str(files("mapsearch.serve.pages") / "static"), packages=[SHARED_STYLE])
    app.mount("/static", static, name="static")
    return Gate(app, settings)


@asynccontextmanager
async def _supervised(app: FastAPI) -> AsyncIterator[None]:
    with Supervisor(app.state.settings):
        yield
