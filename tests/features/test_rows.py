import pytest
import torch

from mapsearch.core.layers import Layer
from mapsearch.features.rows import RowRule, to_rows, token_order, width

NAN = float("nan")


def rows(feature, kind, mask=None, order=None, **rule):
    return to_rows(torch.as_tensor(feature), kind, RowRule(**rule), mask, order).rows


@pytest.mark.parametrize(("maps", "shape"), [("flatten", (4, 180)), ("mean", (4, 3)), ("grid", (4, 48))])
def test_maps_become_one_row_as_the_rule_says(maps, shape):
    feature = torch.rand(4, 3, 6, 10)
    found = rows(feature, "map", maps=maps)
    assert found.shape == shape
    assert width(Layer("m", "Conv2d", "map", (3, 6, 10), 1), RowRule(maps=maps)) == shape[1]
    assert float(found.mean()) == pytest.approx(float(feature.mean()), abs=0.02)


def test_a_small_map_keeps_its_positions_on_the_grid():
    feature = torch.rand(4, 3, 2, 4, 1)
    assert torch.equal(rows(feature, "map", maps="grid"), feature.flatten(1))


def test_vectors_stay():
    assert rows(torch.ones(4, 3), "vector").shape == (4, 3)


TOKENS = torch.tensor([[[1.0], [3.0], [NAN]], [[2.0], [4.0], [6.0]]])
MASK = torch.tensor([[True, True, False], [True, True, True]])


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [("mean", [[2.0], [4.0]]), ("first", [[1.0], [2.0]]), ("flatten", [[1.0, 3.0, 0.0], [2.0, 4.0, 6.0]])],
)
def test_padding_never_enters_whatever_it_holds(tokens, expected):
    assert rows(TOKENS, "tokens", MASK, tokens=tokens).tolist() == expected
    assert width(Layer("t", "Linear", "tokens", (3, 1), 1), RowRule(tokens=tokens)) == len(expected[0])


def test_every_real_token_is_a_sample_in_one_shuffled_order():
    order = token_order(MASK, torch.Generator().manual_seed(0))
    assert sorted(order.tolist()) == [0, 1, 3, 4, 5]
    found = rows(TOKENS, "tokens", MASK, order, tokens="samples").flatten().tolist()
    assert sorted(found) == [1.0, 2.0, 3.0, 4.0, 6.0]
    assert found == TOKENS.flatten()[order].tolist()


def test_the_first_token_may_come_after_padding():
    assert rows(TOKENS.flip(1), "tokens", MASK.flip(1), tokens="first").tolist() == [[3.0], [6.0]]


def test_without_a_mask_or_with_that_of_other_tokens_all_positions_are_real():
    tokens = torch.tensor([[[1.0], [3.0]]])
    assert rows(tokens, "tokens").tolist() == [[2.0]]
    assert rows(tokens, "tokens", torch.tensor([[True, False, False]])).tolist() == [[2.0]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_means_are_taken_in_float32(dtype):
    tokens = torch.full((2, 300, 4), 300.0, dtype=dtype)
    mask = torch.ones(2, 300, dtype=torch.bool)
    for found in (rows(tokens, "tokens"), rows(tokens, "tokens", mask), rows(tokens.unsqueeze(-1), "map", maps="mean")):
        assert found.dtype == torch.float32
        assert found.isfinite().all()


def huge(n=4):
    tokens = torch.ones(n, 5, 3)
    tokens[:, 1] *= 500
    return tokens


def test_a_token_of_huge_norm_is_clipped_to_the_median_and_its_share_told():
    found = to_rows(huge(), "tokens", RowRule())
    assert found.outliers == pytest.approx(0.2)
    assert found.rows.tolist() == torch.ones(4, 3).tolist()
    assert to_rows(huge(), "tokens", RowRule(outliers="keep")).rows[0, 0] == pytest.approx(100.8)
    assert to_rows(huge(), "tokens", RowRule(outliers="keep")).outliers == 0
    assert to_rows(torch.rand(4, 5, 3) + 0.5, "tokens", RowRule()).outliers == 0


def test_normalised_tokens_all_count_alike():
    found = rows(huge(), "tokens", outliers="normalise", tokens="flatten").view(4, 5, 3)
    assert found.norm(dim=-1).flatten().tolist() == pytest.approx([1.0] * 20)


def test_padding_is_no_outlier_and_moves_no_median():
    tokens, mask = torch.ones(2, 6, 3), torch.tensor([[True] * 2 + [False] * 4] * 2)
    tokens[:, 2:] = 1e6
    found = to_rows(tokens, "tokens", RowRule(), mask)
    assert (found.outliers, found.rows.tolist()) == (0.0, [[1.0] * 3] * 2)


def test_outliers_are_looked_for_in_some_samples_only_when_asked():
    tokens = torch.ones(8, 5, 3)
    tokens[3, 0] *= 500
    assert to_rows(tokens, "tokens", RowRule(), sampled=1).outliers > 0
    assert to_rows(tokens, "tokens", RowRule(), sampled=4).outliers == 0


def test_the_rule_says_in_words_what_was_done():
    assert RowRule().words({"map", "vector"}) == "maps flattened"
    assert RowRule(maps="grid", tokens="samples").words({"map", "tokens"}) == (
        "maps averaged down to 4 positions an axis; tokens each a sample"
    )
    assert RowRule().words({"vector"}) == "vectors"
