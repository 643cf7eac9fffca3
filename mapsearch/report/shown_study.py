"""What `mapsearch.show` gives: the plain data of `show --json`, which a notebook shows as tables."""

from typing import Any

from mapsearch.core.text import printable
from mapsearch.core.verdict import Verdict
from mapsearch.display.frames import frame
from mapsearch.display.html import line, table

SHOWN_TRIALS = 10
"""Trials that a notebook lists, the best first; `to_frame` has all."""


class ShownStudy(dict[str, Any]):
    """The fields of `mapsearch show --json`, as a dict that knows how to be shown."""

    @property
    def verdict(self) -> Verdict | None:
        """The verdict as a noun; None before there is one."""
        return Verdict.from_json(self["verdict"]) if self["verdict"] else None

    def _repr_html_(self) -> str:
        """The verdict, how far the study is, and its best trials."""
        verdict = self.verdict
        state = f"{self['name']}: {self['state']}, {self['n_complete']} of {self['n_runs']} runs"
        sign = 1 if self["direction"] == "minimize" else -1
        best = sorted((t for t in self["trials"] if t["value"] is not None), key=lambda t: sign * t["value"])
        rows = [(str(t["number"]), t["control"] or t["proposer"], f"{t['value']:.4f}") for t in best[:SHOWN_TRIALS]]
        trials = table(("trial", "from", self["metric"]), rows, "best trials of the search")
        return f"{line(printable(state))}{verdict._repr_html_() if verdict else ''}{trials if rows else ''}"

    def plot(self, axes: Any = None) -> Any:
        """The verdict's gains around the margin; gives the axes.

        Raises:
            ValueError: there is no verdict yet.
            ImportError: matplotlib is not installed.
        """
        if (verdict := self.verdict) is None:
            raise ValueError(f"study `{self['name']}` has no verdict yet; finish it first")
        return verdict.plot(axes)

    def to_frame(self) -> Any:
        """A data frame with a row for each trial; fields of its recipe are columns `recipe.*`.

        Raises:
            ImportError: pandas is not installed.
        """
        rows = []
        for trial in self["trials"]:
            recipe = {f"recipe.{name}": value for name, value in trial["recipe"].items()}
            rows.append({name: value for name, value in trial.items() if name != "recipe"} | recipe)
        return frame(rows)
