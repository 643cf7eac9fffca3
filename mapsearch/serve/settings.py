"""What one service was started with."""

from dataclasses import dataclass
from pathlib import Path

from mapsearch.core.folders import beside
from mapsearch.serve.tokens import Tokens


@dataclass(frozen=True)
class Settings:
    """What one service was started with.

    `storage` is the URL of the study database, `studies` the folder of the study folders that may be started, None
    where nothing may; `data` is the service's own folder, beside the database where it is None. `host_names` are the
    names under which browsers may ask for the service, beside addresses.
    """

    storage: str
    tokens: Tokens
    port: int
    studies: Path | None = None
    max_running: int = 1
    host_names: frozenset[str] = frozenset({"localhost"})
    data: Path | None = None

    @property
    def trainings(self) -> Path:
        """The folder of the final trainings."""
        return (self.data or beside(self.storage) / "mapsearch-service").resolve() / "trainings"

    def may_start(self, folder: Path) -> bool:
        """Whether a study whose task lies there may be started: only below the folder of the study folders."""
        return self.studies is not None and folder.resolve().is_relative_to(self.studies.resolve())

    @property
    def cookie(self) -> str:
        """Name of the session's cookie: browsers give cookies of one port to every other."""
        return f"mapsearch_{self.port}"
