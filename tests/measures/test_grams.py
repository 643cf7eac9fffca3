import pytest
import torch

from mapsearch.measures.grams import MIN_MIRRORED, block_sizes, grams_of


def rows(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("size", [63, 64, 256], ids=str)
@pytest.mark.parametrize("is_mirrored", [False, True], ids=["whole", "mirrored"])
def test_every_sample_of_a_block_meets_every_other(size, is_mirrored):
    width = MIN_MIRRORED // size**2 + (1 if is_mirrored else -1)
    blocks = rows(3, size, width)
    grams, exact = grams_of(blocks), torch.einsum("bnd,bmd->bnm", blocks.double(), blocks.double())
    torch.testing.assert_close(grams.double(), exact, atol=1e-6 * width, rtol=0)


def test_what_is_mirrored_is_symmetric_to_the_last_digit():
    grams = grams_of(rows(2, 129, MIN_MIRRORED // 129**2 + 1))
    assert torch.equal(grams, grams.mT)


@pytest.mark.parametrize(
    ("n", "sizes"), [(256, [(4, 64)]), (193, [(1, 49), (3, 48)]), (65, [(1, 33), (1, 32)]), (3, []), (0, [])]
)
def test_blocks_are_as_few_as_fit_and_near_equal(n, sizes):
    assert list(block_sizes(n, 64)) == sizes
