"""What the name of a metric says about its direction: its last telling word, and only where that is clear-cut.

A stated direction always holds; where the name says another one, its author is told.
"""

import re

LOWER_IS_BETTER = frozenset(
    {"loss", "error", "perplexity", "ppl", "nll", "mse", "rmse", "mae", "wer", "cer", "bce", "ece", "brier", "fid"}
)
HIGHER_IS_BETTER = frozenset(
    {"accuracy", "acc", "agreement", "f1", "auc", "auroc", "precision", "recall", "bleu", "rouge", "map", "miou", "iou",
     "dice", "r2", "spearman", "pearson", "cosine", "ndcg", "mrr"}
)  # fmt: skip
NEUTRAL = frozenset(
    {"rate", "mean", "total", "sum", "train", "valid", "val", "validation", "test", "macro", "micro", "weighted"}
)
"""Words that say nothing about the word before them: an `error_rate` is an error."""

KNOWN = {"loss": "minimize", "rmse": "minimize", "perplexity": "minimize", "absolute_error": "minimize"}
"""Metrics that tasks have by default and of which less is better: their direction needs no stating."""


def must_be_stated(metric: str) -> bool:
    """Whether the name ends like a loss, as `val_loss` and `word_error_rate` do: no default direction is safe."""
    return _telling_word(metric) in LOWER_IS_BETTER and metric not in KNOWN


def direction_notice(metric: str, direction: str, stated: bool) -> str:
    """What to tell the author whose direction is not the one the name says, or is taken from it; else empty."""
    if not stated:
        known = f"`direction` is {direction}, as the metric `{metric}` has it by default"
        return known if metric in KNOWN else ""
    word = _telling_word(metric)
    says = "minimize" if word in LOWER_IS_BETTER else "maximize" if word in HIGHER_IS_BETTER else direction
    if says == direction:
        return ""
    return f"`direction` is {direction}, but the name of the metric `{metric}` suggests {says}"


def _telling_word(metric: str) -> str:
    words = [word for word in re.split(r"[^a-z0-9]+", metric.lower()) if word]
    while len(words) > 1 and (words[-1] in NEUTRAL or words[-1].isdigit()):
        words.pop()
    return words[-1] if words else ""
