import pytest
import torch

from mapsearch.measures.estimate import weighted_jackknife


def test_a_jackknife_of_the_mean_is_its_textbook_error_and_weighs_groups_by_their_size():
    x = torch.randn(240, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole = x.mean().reshape(1, 1)

    def error(*sizes):
        left_out = [torch.cat([p for j, p in enumerate(x.split(sizes)) if j != i]).mean() for i in range(len(sizes))]
        return float(weighted_jackknife(whole, torch.stack(left_out).reshape(-1, 1, 1), sizes))

    assert error(*[1] * 240) == pytest.approx(float(x.std()) / 240**0.5)
    assert error(*[1] * 120, *[3] * 40) == pytest.approx(float(x.std()) / 240**0.5, rel=0.1)
