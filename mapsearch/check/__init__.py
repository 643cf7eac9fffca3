"""STEP: a loaded task and a study -> a CheckReport: everything that must hold before budget is spent.

Looked at on one real training batch; what is wrong is reported, all at once, and never raised.
"""

from mapsearch.check.baseline import measure_baseline
from mapsearch.check.preflight import check, raise_for_errors

__all__ = ["check", "measure_baseline", "raise_for_errors"]
