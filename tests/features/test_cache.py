import pytest
import torch

from mapsearch.features.cache import GIVEN_UP, FeatureCache

N = 10
FEATURES = {"a": torch.arange(30.0).view(N, 3), "b": torch.randn(N, 2, 2)}
DIGESTS = torch.arange(1, N + 1)
ALL = torch.arange(N)


def cache(folder=None, budget=10_000):
    return FeatureCache(N, budget, torch.device("cpu"), folder)


def put(into, ids=ALL, features=FEATURES, digests=DIGESTS):
    ids = torch.as_tensor(ids)
    into.put({name: feature[ids] for name, feature in features.items()}, ids, digests[ids])


def test_what_was_kept_is_found_in_any_order_and_only_when_all_of_it_is_there():
    kept = cache()
    assert kept.get(["a"], ALL, DIGESTS) is None
    put(kept, [0, 1, 2, 7])
    ids = torch.tensor([7, 0, 2])
    found = kept.get(["b", "a"], ids, DIGESTS[ids])
    assert list(found) == ["b", "a"]
    assert all(torch.equal(feature, FEATURES[name][ids]) for name, feature in found.items())
    assert kept.get(["a"], torch.tensor([7, 3]), DIGESTS[[7, 3]]) is None
    assert kept.get(["a", "c"], ids, DIGESTS[ids]) is None


def test_a_sample_that_looks_different_is_not_found_until_it_is_kept_anew():
    kept = cache()
    put(kept)
    changed = DIGESTS.clone()
    changed[4] = 99
    assert kept.get(["a"], ALL, changed) is None
    put(kept, [4], {"a": FEATURES["a"] + 1}, changed)
    assert torch.equal(kept.get(["a"], ALL, changed)["a"][4], FEATURES["a"][4] + 1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_features_keep_their_type(dtype):
    kept = cache()
    put(kept, features={"a": FEATURES["a"].to(dtype)})
    assert kept.get(["a"], ALL, DIGESTS)["a"].dtype == dtype


def test_a_layer_beyond_the_budget_is_refused_and_leaves_the_others():
    kept = cache(budget=200)  # a: 120 bytes, b: 160
    put(kept)
    assert kept.refused == {"b": "its 160 bytes do not fit into the 80 left"}
    assert kept.get(["a"], ALL, DIGESTS) is not None
    assert kept.get(["a", "b"], ALL, DIGESTS) is None


def test_a_layer_for_which_memory_does_not_suffice_is_refused_and_leaves_the_budget_to_others():
    kept = FeatureCache(2**50, 2**60, torch.device("cpu"))
    kept.put({"a": torch.randn(2, 8)}, ALL[:2], DIGESTS[:2])
    assert "memory does not suffice" in kept.refused["a"]
    assert kept._left == 2**60


def test_what_is_given_up_is_neither_found_nor_kept_again():
    kept = cache()
    assert not kept.give_up(), "there was nothing"
    kept = cache()
    put(kept, features={"a": FEATURES["a"]})
    assert kept.give_up()
    put(kept)
    assert kept.get(["a"], ALL, DIGESTS) is None
    assert kept.refused == dict.fromkeys(("a", "b"), GIVEN_UP), "what comes later, too"
    assert not kept.give_up()


def test_who_has_given_up_does_not_map_what_others_publish(tmp_path):
    kept, other = cache(tmp_path), cache(tmp_path)
    put(kept, features={"a": FEATURES["a"]})
    kept.give_up()
    put(other)
    other.publish()
    put(kept)
    assert kept.get(["b"], ALL, DIGESTS) is None
    assert kept.refused["b"] == GIVEN_UP


def test_a_feature_that_changes_its_shape_is_refused():
    kept = cache()
    put(kept, [0, 1])
    kept.put({"a": torch.zeros(2, 4)}, torch.tensor([2, 3]), DIGESTS[[2, 3]])
    assert kept.refused == {"a": "its feature changes its shape from batch to batch, to [2, 4]"}
    assert kept.get(["a"], torch.tensor([0]), DIGESTS[:1]) is None


def test_another_process_reads_what_was_published_once_it_has_seen_that_it_is_right(tmp_path):
    first, second = cache(tmp_path / "x"), cache(tmp_path / "x")
    put(first)
    first.publish()
    assert second.get(["a", "b"], ALL, DIGESTS) is None  # not yet trusted
    put(second, [0, 1])
    found = second.get(["a", "b"], ALL, DIGESTS)
    assert all(torch.equal(found[name], FEATURES[name]) for name in FEATURES)
    put(first, [3])
    assert first.get(["a"], ALL, DIGESTS) is not None  # it maps the file as well now


def test_what_is_not_complete_is_not_published(tmp_path):
    kept = cache(tmp_path)
    put(kept, [0, 1])
    kept.publish()
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_network_is_replaced(tmp_path):
    old, new, third = cache(tmp_path), cache(tmp_path), cache(tmp_path)
    put(old, features={"a": FEATURES["a"] * 1.01})
    old.publish()
    assert new.get(["a"], ALL, DIGESTS) is None
    put(new, features={"a": FEATURES["a"]})
    assert torch.equal(new.get(["a"], ALL, DIGESTS)["a"], FEATURES["a"])
    new.publish()
    assert third.get(["a"], ALL, DIGESTS) is None
    put(third, [0], {"a": FEATURES["a"]})
    assert torch.equal(third.get(["a"], ALL, DIGESTS)["a"], FEATURES["a"])


def test_a_file_of_other_samples_is_not_used(tmp_path):
    old, new = cache(tmp_path), cache(tmp_path)
    put(old)
    old.publish()
    other = DIGESTS + 100
    assert new.get(["a"], ALL, other) is None
    put(new, [0, 1], {"a": FEATURES["a"] + 1}, other)
    assert new.get(["a"], torch.tensor([2]), other[[2]]) is None
    put(new, [0, 1], {"a": FEATURES["a"] + 1}, other)
    assert torch.equal(new.get(["a"], torch.tensor([1]), other[[1]])["a"], FEATURES["a"][[1]] + 1)


def test_a_file_never_changes_by_what_a_reader_keeps(tmp_path):
    first = cache(tmp_path)
    put(first)
    first.publish()
    content = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    put(first, [0])
    put(first, [0], {"a": FEATURES["a"] + 5}, DIGESTS + 50)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == content


def test_a_folder_that_cannot_be_written_only_means_that_nobody_shares(tmp_path):
    (tmp_path / "file").write_text("")
    kept = cache(tmp_path / "file" / "below")
    put(kept)
    kept.publish()
    assert kept.get(["a"], ALL, DIGESTS) is not None


def test_a_damaged_file_is_replaced(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"no features")
    kept, other = cache(tmp_path), cache(tmp_path)
    put(kept, features={"a": FEATURES["a"]})
    kept.publish()
    put(other, [0], {"a": FEATURES["a"]})
    assert torch.equal(other.get(["a"], ALL, DIGESTS)["a"], FEATURES["a"])
