"""Source that exported files contain: it may use torch and `losses/`, never a noun of ours."""
