"""What the name of a metric says about its direction. A name can mislead, so it only decides where it is clear-cut."""

import re

LOWER_IS_BETTER = frozenset({"loss", "error", "perplexity", "ppl", "nll", "mse", "rmse", "mae", "wer", "cer"})
HIGHER_IS_BETTER = frozenset({"accuracy", "acc", "f1", "auc", "auroc", "precision", "recall", "bleu"})
NEUTRAL = frozenset({"rate", "mean", "total", "sum", "train", "valid", "val", "validation", "test"})
"""Words that say nothing about the word before them: an `error_rate` is an error."""


def must_be_stated(metric: str) -> bool:
    """Whether the name ends like a loss, as `val_loss` and `word_error_rate` do: no default direction is safe."""
    words = _words(metric)
    while len(words) > 1 and words[-1] in NEUTRAL:
        words.pop()
    return words[-1] in LOWER_IS_BETTER


def direction_problem(metric: str, direction: str) -> str:
    """Why a stated direction cannot be meant, or the empty string: only for names that have one meaning."""
    if direction == "maximize" and metric.lower() in LOWER_IS_BETTER:
        return f"`maximize` would search for the student with the largest `{metric}`; set `direction: minimize`"
    if direction == "minimize" and metric.lower() == "accuracy":
        return f"`minimize` would search for the student with the smallest `{metric}`; set `direction: maximize`"
    return ""


def direction_notice(metric: str, direction: str, stated: bool) -> str:
    """What to tell the author whose direction is not the one the name suggests, or the empty string."""
    suggested = "minimize" if must_be_stated(metric) else ""
    words = set(_words(metric))
    if not suggested and words & LOWER_IS_BETTER and not stated:
        suggested = "minimize"
    if not suggested and words & HIGHER_IS_BETTER:
        suggested = "maximize"
    if suggested in ("", direction):
        return ""
    way_out = "" if stated else f"; state `direction: {direction}` if that is meant"
    return f"`direction` is {direction}, but the name of the metric `{metric}` suggests {suggested}{way_out}"


def _words(metric: str) -> list[str]:
    return re.split(r"[^a-z0-9]+", metric.lower())
