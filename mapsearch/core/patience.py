"""How often something that is away is asked for again."""

FIRST_SECONDS, LONGEST_SECONDS = 0.5, 30.0


def next_wait(n_tries: int, seconds_away: float, patience: float) -> float | None:
    """Seconds until the next try, each time twice as long; the last try comes when the patience ends.

    Args:
        n_tries: how many there were.
        patience: seconds, in all, after which there is none any more, and this gives None.
    """
    left = patience - seconds_away
    return min(FIRST_SECONDS * 2.0 ** min(n_tries, 16), LONGEST_SECONDS, left) if left > 0 else None
