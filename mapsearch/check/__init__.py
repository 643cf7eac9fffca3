"""STEP: a bench and a study -> a CheckReport: everything that must hold before budget is spent.

Looked at on one real training batch; what is wrong is reported, all at once, and never raised.
"""

from mapsearch.check.preflight import check, demand

__all__ = ["check", "demand"]
