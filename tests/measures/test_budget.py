from mapsearch.measures.budget import cheaper_than_blocks


def test_narrow_layers_are_cheaper_all_at_once_and_wide_ones_in_blocks():
    assert cheaper_than_blocks([8] * 3, [8] * 3, 64)
    assert not cheaper_than_blocks([256] * 6, [512] * 12, 64)
    assert cheaper_than_blocks([256], [256], 4096)
    assert not cheaper_than_blocks([4096], [4096], 10**6)  # memory
