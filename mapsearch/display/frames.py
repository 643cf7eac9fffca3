"""Rows as a data frame of pandas, where that is installed."""

from collections.abc import Mapping, Sequence
from typing import Any


def frame(rows: Sequence[Mapping[str, Any]], index: Sequence[str] | None = None, name: str | None = None) -> Any:
    """A data frame with a line for each row.

    Args:
        index: names of the rows; None numbers them.
        name: what the names of the rows are.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        from pandas import DataFrame, Index
    except ImportError:
        raise ImportError("`pandas` is not installed; `pip install pandas`") from None
    return DataFrame(list(rows), index=None if index is None else Index(list(index), name=name))
