import pytest
import torch

from mapsearch.tasks import sample_digests
from mapsearch.tasks.sample_digests import KnownDigests, row_digests

X, Y = torch.randn(6, 3), torch.arange(6)


def test_digests_belong_to_samples_wherever_they_stand():
    order = torch.tensor([3, 0, 5])
    assert torch.equal(row_digests((X, Y))[order], row_digests((X[order], Y[order])))
    assert len(set(row_digests((X, Y)).tolist())) == 6
    assert not (row_digests((X, Y)) == 0).any()


def test_the_smallest_difference_anywhere_in_a_sample_shows_and_no_other():
    before = row_digests({"ids": X, "more": {"labels": Y}})
    x = X.clone()
    x[2, 1] = torch.nextafter(x[2, 1], torch.tensor(9.0))
    changed = row_digests({"ids": x, "more": {"labels": Y}}) != before
    assert changed.tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize(
    "other",
    [(X.double(), Y), (X.view(6, 1, 3), Y), (torch.cat([X, torch.zeros(6, 1)], 1), Y), (X, Y, 0.5), (X, Y, "mixed"),
     (X, Y, torch.tensor(0.5))],
)  # fmt: skip
def test_type_shape_and_what_all_samples_share_count(other):
    assert not (row_digests(other) == row_digests((X, Y))).any()


def test_objects_that_cannot_be_read_give_no_digest():
    assert row_digests((X, Y, object())) is None


def test_chosen_rows_have_the_digests_that_all_rows_have():
    whole = row_digests((X, Y, "shared"))
    assert torch.equal(row_digests((X, Y, "shared"), [4, 1]), whole[[4, 1]])


def read(monkeypatch):
    """How many samples are read from now on."""
    counted = []

    def counting(batch, rows):
        counted.append(len(rows))
        return row_digests(batch, rows)

    monkeypatch.setattr(sample_digests, "row_digests", counting)
    return counted


def test_a_sample_is_read_once_and_one_of_every_batch_again(monkeypatch):
    known, counted = KnownDigests(6), read(monkeypatch)
    for chosen in ([0, 1, 2], [2, 1, 0], [3, 1, 4], [5, 4, 3]):
        assert torch.equal(known.of((X[chosen], Y[chosen]), chosen), row_digests((X[chosen], Y[chosen])))
    assert counted == [3, 1, 2, 1]  # the one read again may be new
    assert not known.varies


def test_a_batch_of_another_form_is_read_anew(monkeypatch):
    known, counted = KnownDigests(6), read(monkeypatch)
    for batch in ((X, Y), (X[:, :2], Y), (X[:, :2], Y)):
        assert torch.equal(known.of(batch, range(6)), row_digests(batch))
    assert counted == [6, 6, 1]
    assert not known.varies


def test_once_a_sample_has_changed_all_are_read_whenever_they_come(monkeypatch):
    known, counted = KnownDigests(6), read(monkeypatch)
    known.of((X, Y), range(6))
    for i in range(3):
        changed = (X + i + 1, Y)
        assert torch.equal(known.of(changed, range(6)), row_digests(changed))
    assert known.varies
    assert counted == [6, 1, 6, 6, 6]


def test_a_sample_that_comes_twice_in_a_batch_is_read_as_it_is():
    known = KnownDigests(6)
    known.of((X, Y), range(6))
    twice = (torch.cat([X[:1], X[:1] + 1]), Y[[0, 0]])
    known.of(twice, [0, 0])
    assert torch.equal(known.of(twice, [0, 0]), row_digests(twice))


def test_objects_that_cannot_be_read_are_not_known():
    assert KnownDigests(6).of((X, Y, object()), range(6)) is None
