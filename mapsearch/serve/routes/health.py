"""Whether the service is there; needs no token."""

from fastapi import APIRouter
from pydantic import BaseModel

from mapsearch import __version__

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The service is there."""

    status: str
    version: str


@router.get("/health")
def health() -> Health:
    """Whether the service is there."""
    return Health(status="ok", version=__version__)
