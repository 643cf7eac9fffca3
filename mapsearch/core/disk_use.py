"""What a study takes on disk that it can do without."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class DiskUse:
    """Bytes of a study's cache folder, of the loss curves in the database, and of results that were never written.

    `n_unwritten` results wait for the study to go on; of a study that is complete none do.
    """

    study: str
    cache: int
    curves: int
    spool: int
    n_unwritten: int = 0

    @property
    def total(self) -> int:
        """All that can be freed."""
        return self.cache + self.curves + (0 if self.n_unwritten else self.spool)

    def less(self, left: "DiskUse") -> "DiskUse":
        """What is gone when so much is left."""
        return replace(
            self, cache=self.cache - left.cache, curves=self.curves - left.curves, spool=self.spool - left.spool
        )

    def __str__(self) -> str:
        """One line for a person."""
        parts = [f"cache {readable(self.cache)}", f"loss curves {readable(self.curves)}"]
        if self.n_unwritten:
            parts.append(f"{self.n_unwritten} results that wait for the next `mapsearch run` stay")
        elif self.spool:
            parts.append(f"spool {readable(self.spool)}")
        return f"{self.study}: {', '.join(parts)}"


def readable(n_bytes: int) -> str:
    """The size with the unit that suits it."""
    size, units = float(n_bytes), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    while size >= 1000 and unit != "TB":
        size, unit = size / 1000, next(units)
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
