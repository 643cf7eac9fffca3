"""Who takes over goes by whether a lease is renewed, not by clocks: those of hosts differ, and jump."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mapsearch.core.errors import StudyBusy
from mapsearch.store import watching
from mapsearch.store.store import Store

YEAR = 365.0 * 24 * 3600


@pytest.fixture
def second(store: Store) -> Iterator[Store]:
    with Store.open(store.url) as second:
        yield second


@pytest.mark.parametrize("wrong", [-YEAR, -61.0, 121.0, YEAR])
def test_a_controller_with_a_wrong_clock_keeps_its_study_while_it_lives(
    store: Store, second: Store, rewrite: Callable[..., None], meanwhile: Any, wrong: float
) -> None:
    def renew() -> None:
        rewrite(lease_until=time.time() + 60.0 + wrong)

    with store.control("digits") as study:
        rewrite(lease_until=time.time() + wrong)
        meanwhile.happens.append(renew)
        assert "process" in second.doubtful_holder("digits")
        with pytest.raises(StudyBusy, match="is run by process"), second.control("digits"):
            pass
        assert 0.0 < meanwhile.seconds < 60.0
        study.set_state("complete")
    assert store.study("digits").state == "complete"


@pytest.mark.parametrize("wrong", [-YEAR, -61.0, 121.0, YEAR])
def test_one_that_stands_still_loses_it_whatever_its_clock_says(
    store: Store, second: Store, rewrite: Callable[..., None], meanwhile: Any, wrong: float
) -> None:
    with store.control("digits") as study:
        rewrite(lease_until=time.time() + 60.0 + wrong)
        with second.control("digits") as other:
            assert meanwhile.seconds == pytest.approx(60.0)
            with pytest.raises(StudyBusy, match="took over"):
                study.set_state("failed")
            other.set_state("complete")
    assert store.study("digits").state == "complete"


@pytest.mark.parametrize("wrong", [-59.0, 0.0, 59.0])
def test_a_lease_that_clocks_let_live_is_refused_at_once(
    store: Store, second: Store, rewrite: Callable[..., None], meanwhile: Any, wrong: float
) -> None:
    with store.control("digits"):
        rewrite(lease_until=time.time() + 60.0 + wrong)
        with pytest.raises(StudyBusy, match="is run by process"), second.control("digits"):
            pass
        assert meanwhile.seconds == 0.0
        assert second.doubtful_holder("digits") == ""


def test_a_lease_that_is_renewed_after_the_last_look_is_its_holders(
    store: Store, second: Store, rewrite: Callable[..., None], meanwhile: Any
) -> None:
    with store.control("digits"):
        rewrite(lease_until=0.0)
        is_taken = watching.watch(second._database, "digits", 60.0)
        before = watching.lease_row(second._database, "digits")
        rewrite(lease_until=1.0)
        assert not is_taken(before)
        assert is_taken(watching.lease_row(second._database, "digits"))
