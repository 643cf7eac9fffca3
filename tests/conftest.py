"""Property tests draw the same examples on every machine and have no clock; torch keeps to one thread."""

import torch
from hypothesis import settings

settings.register_profile("same-everywhere", deadline=None, derandomize=True, database=None)
settings.load_profile("same-everywhere")
torch.set_num_threads(1)  # threads that wait for each other make tiny networks a hundred times slower
