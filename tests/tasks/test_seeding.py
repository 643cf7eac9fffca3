import random

import numpy as np
import torch

from mapsearch.tasks.seeding import seed_everything


def test_every_source_of_chance_is_seeded():
    def draw():
        seed_everything(2**40 + 1)
        return torch.rand(1).item(), np.random.rand(), random.random()

    assert draw() == draw()
