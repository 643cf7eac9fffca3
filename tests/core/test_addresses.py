import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.core.addresses import Address, is_address, matches, parse_address

PATHS = st.from_regex(r"[a-z]\w*(\.\w+)*", fullmatch=True)
KEYS = st.from_regex(r"[\w.]+", fullmatch=True)


@given(PATHS, st.none() | st.integers(0, 10**6), st.none() | KEYS)
def test_an_address_is_read_as_it_is_written(path, call, key):
    address = Address(path, call, key)
    assert parse_address(str(address)) == address
    assert is_address(str(address)) == (call is not None or key is not None)
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
    ],
)
def test_a_pattern_means_modules_calls_or_entries(name, pattern, expected):
    assert matches(name, pattern) == expected
