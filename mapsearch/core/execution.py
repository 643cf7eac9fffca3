"""Where a study runs: devices, workers and memory. None of it changes what the study compares."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from mapsearch.core.section import Section, auto_or

DEFAULT_CACHE_BYTES = 2**30

DeviceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(:\d+)?$")]


def _as_list(value: Any) -> Any:
    """One device may be given without brackets."""
    return [value] if isinstance(value, str) and value != "auto" else value


Devices = Annotated[
    Literal["auto"] | Annotated[tuple[DeviceName, ...], Field(min_length=1)],
    auto_or("a device or a list of devices, each `cpu`, `cuda` or `cuda:N`"),
    BeforeValidator(_as_list, json_schema_input_type=Literal["auto"] | DeviceName | tuple[DeviceName, ...]),
]
Workers = Annotated[Literal["auto"] | Annotated[int, Field(ge=1)], auto_or("a whole number >= 1")]


class Execution(Section):
    """Where a study runs. It may differ at every resume: it is no part of what the study compares."""

    devices: Devices = Field(
        "auto", description="cpu, cuda, cuda:N or a list of these; auto: every GPU, or the CPU if there is none"
    )
    workers: Workers = Field("auto", description="worker processes; auto: one per GPU, or one per `threads` CPU cores")
    threads: int = Field(1, ge=1, description="CPU threads per worker")
    cohort: int = Field(8, ge=1, description="maximum number of students trained side by side in one worker")
    cache_bytes: int = Field(
        DEFAULT_CACHE_BYTES,
        ge=0,
        description="per-worker budget in bytes for cached teacher outputs; 0 disables the cache",
    )
    loader_workers: int = Field(
        0, ge=0, description="processes per worker that load batches ahead; 0: loaded by the worker itself"
    )
    stall_seconds: float = Field(
        1800,
        gt=0,
        description="seconds after which a worker that makes no progress, or still loads the task, is stopped",
    )

    database_seconds: float = Field(
        3600,
        ge=0,
        description="seconds that a study waits for its database while it is away; its students go on meanwhile",
    )

    @property
    def first_device(self) -> str:
        """The device of whatever runs in one process only, such as `check`; `auto` prefers a GPU."""
        return "auto" if self.devices == "auto" else self.devices[0]
