import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.core.addresses import Address, is_address, is_part, matches, parse_address

PATHS = st.from_regex(r"[a-z]\w*(\.\w+)*", fullmatch=True)
KEYS = st.from_regex(r"[\w.]+", fullmatch=True)


LAYOUTS = st.none() | st.just("sequence_first") | st.integers(2, 99).map("{}_per_sample".format)


@given(PATHS, st.none() | st.integers(0, 10**6), st.none() | KEYS, LAYOUTS)
def test_an_address_is_read_as_it_is_written(path, call, key, layout):
    address = Address(path, call, key, layout)
    assert parse_address(str(address)) == address
    assert is_part(str(address)) == (call is not None or key is not None)
    assert is_address(str(address)) == (is_part(str(address)) or layout is not None)
    assert matches(str(address), str(address))


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("blocks.1", "blocks.*", True),
        ("blocks.1.norm", "blocks.*", False),
        ("blocks.1#0", "blocks.*", False),
        ("blocks.1[0]", "blocks.*", False),
        ("trunk#3", "trunk#*", True),
        ("trunk#3[0]", "trunk#*", False),
        ("trunk#3[hidden]", "trunk#*[hid*]", True),
        ("trunk#13", "trunk#?", False),
        ("encoder[layer.3]", "encoder[layer.*]", True),
        ("encoder[1]", "encoder[*]", True),
        ("layer2", "layer[24]", True),  # a set of characters, as in any glob
        ("layer3", "layer[24]", False),
        ("blocks.1@sequence_first", "blocks.*", True),
        ("blocks.1@sequence_first", "blocks.*@sequence_first", True),
        ("blocks.1@3_per_sample", "blocks.*@*_per_sample", True),
        ("blocks.1@3_per_sample", "blocks.*@sequence_first", False),
        ("blocks.1", "blocks.*@sequence_first", False),
        ("trunk#1[0]@sequence_first", "trunk#*[0]", True),
        ("trunk#1[0]@sequence_first", "trunk", False),
    ],
)
def test_a_pattern_means_modules_calls_or_entries(name, pattern, expected):
    assert matches(name, pattern) == expected
