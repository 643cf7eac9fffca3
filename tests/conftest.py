"""Property tests draw the same examples on every machine and have no clock; torch keeps to one thread."""

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from hypothesis import settings

pytest_plugins = ["study_fixtures", "service_fixtures", "postgresql_fixtures"]

settings.register_profile("same-everywhere", deadline=None, derandomize=True, database=None)
settings.load_profile("same-everywhere")
torch.set_num_threads(1)  # threads that wait for each other make tiny networks a hundred times slower


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A process group of this process alone, as DistributedDataParallel wants one."""
    file = tmp_path_factory.mktemp("group") / "rendezvous"
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()
