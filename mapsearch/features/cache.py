"""FeatureCache: what a frozen network gave for each sample, kept by sample under a byte budget."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from urllib.parse import quote

import torch
from torch import Tensor

FILE_TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-4}
"""Relative difference up to which a file's features count as those of the network at hand; 1e-2 in half precision."""


GIVEN_UP = "memory did not suffice for training beside them"
"""Why nothing is kept any longer."""


@dataclass
class _Column:
    """One layer's features, `rows` `[N, ...]` on the device, and `digests` `[N]` of the samples' content, 0 for none.

    What comes from a file is not `trusted` before it was compared with a live pass.
    """

    rows: Tensor
    digests: Tensor
    from_file: bool = False
    trusted: bool = True


class FeatureCache:
    """Features by layer name, sample id and sample content.

    A sample whose content has another digest than when its features were kept is simply not found, so
    that a random augmentation can never be taught with stale features. Features keep the type they
    come in; a kept feature equals a live one but for the rounding of a pass in another batch.

    Args:
        n: number of samples; ids are below it.
        budget: most bytes on the device; a layer that does not fit any more is never kept.
        folder: where a layer is written once all its samples are there, for other processes to map
            into their memory; it must belong to this network alone. None keeps nothing for others.
    """

    def __init__(self, n: int, budget: int, device: torch.device, folder: Path | None = None) -> None:
        self.refused: dict[str, str] = {}
        self._n, self._left, self._device, self._folder = n, budget, device, folder
        self._columns: dict[str, _Column] = {}
        self._is_given_up = False

    def get(self, names: Sequence[str], ids: Tensor, digests: Tensor) -> dict[str, Tensor] | None:
        """The features `[B, ...]` of these samples, or None unless all are there.

        Args:
            ids: sample ids `[B]`, on the CPU.
            digests: of the samples' content now, `[B]`, never 0.
        """
        columns = [self._columns.get(name) or self._read(name) for name in names]
        if not all(c and c.trusted and torch.equal(c.digests[ids], digests) for c in columns):
            return None
        where = ids.to(self._device)
        return {name: column.rows[where] for name, column in zip(names, columns, strict=True) if column}

    def put(self, features: Mapping[str, Tensor], ids: Tensor, digests: Tensor) -> None:
        """Keep what the network gave just now for these samples."""
        for name, feature in features.items():
            column = self._columns.get(name) or self._read(name) or self._make(name, feature)
            if column is None:
                continue
            if column.rows.shape[1:] != feature.shape[1:] or len(feature) != len(ids):
                self._refuse(name, f"its feature changes its shape from batch to batch, to {list(feature.shape)}")
                continue
            if not column.trusted:
                self._examine(name, column, feature, ids, digests)
            column.rows[ids.to(self._device)] = feature
            column.digests[ids] = digests

    def publish(self) -> None:
        """Write each layer that is complete, at once or not at all, and map what is written instead of holding it."""
        for name, column in [*self._columns.items()]:
            if self._folder and not column.from_file and bool((column.digests != 0).all()):
                path = _path(self._folder, name)
                if path.exists() or _write(path, column):
                    self._forget(name)

    def give_up(self) -> bool:
        """Free the memory of what is kept and keep nothing more; whether there was anything to free."""
        self._is_given_up = True
        held = [*self._columns]
        for name in held:
            self._refuse(name, GIVEN_UP)
        return bool(held)

    def _make(self, name: str, feature: Tensor) -> _Column | None:
        if name in self.refused:
            return None
        if self._is_given_up:
            self._refuse(name, GIVEN_UP)
            return None
        n_bytes = self._n * feature[0].numel() * feature.element_size()
        if n_bytes > self._left:
            self._refuse(name, f"its {n_bytes:,} bytes do not fit into the {self._left:,} left")
            return None
        try:
            rows = torch.empty(self._n, *feature.shape[1:], dtype=feature.dtype, device=self._device)
        except (RuntimeError, MemoryError) as error:
            if self._device.type == "cuda" and not isinstance(error, torch.OutOfMemoryError):
                raise  # others have no type of their own for too little memory, and nothing else can fail there
            self._refuse(name, f"memory does not suffice for its {n_bytes:,} bytes")
            return None
        self._left -= n_bytes
        self._columns[name] = _Column(rows, torch.zeros(self._n, dtype=torch.int64))
        return self._columns[name]

    def _read(self, name: str) -> _Column | None:
        """A layer that was published, mapped into memory; what is written into it stays in this process."""
        if self._is_given_up or not self._folder or name in self.refused:
            return None
        if not (path := _path(self._folder, name)).exists():
            return None
        try:
            entry = torch.load(path, mmap=True, weights_only=True)
        except (OSError, RuntimeError, UnpicklingError):  # not a file of ours, or a damaged one
            path.unlink(missing_ok=True)
            return None
        if len(entry["digests"]) != self._n or entry["rows"].nbytes > self._left:
            return None
        self._left -= entry["rows"].nbytes
        self._columns[name] = _Column(entry["rows"].to(self._device), entry["digests"], from_file=True, trusted=False)
        return self._columns[name]

    def _examine(self, name: str, column: _Column, feature: Tensor, ids: Tensor, digests: Tensor) -> None:
        """Trust a file whose features of the same samples are those of a live pass; begin anew where they are not."""
        same = column.digests[ids] == digests
        if not bool(same.any()):
            return
        where = same.to(self._device)
        kept, live = column.rows[ids[same].to(self._device)].double(), feature[where].double()
        column.trusted = True
        if not bool((kept - live).norm() <= FILE_TOLERANCE.get(feature.dtype, 1e-2) * live.norm()):
            column.digests.zero_()
            column.from_file = False
            assert self._folder is not None
            _path(self._folder, name).unlink(missing_ok=True)

    def _refuse(self, name: str, why: str) -> None:
        self.refused[name] = why
        self._forget(name)

    def _forget(self, name: str) -> None:
        column = self._columns.pop(name, None)
        self._left += column.rows.nbytes if column else 0


def _path(folder: Path, name: str) -> Path:
    return folder / f"{quote(name, safe='.') or 'output'}.pt"


def _write(path: Path, column: _Column) -> bool:
    """Whether it could be written; a full disk only means that no other process shares it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder, (Path(folder) / path.name).open("wb") as file:
            torch.save({"rows": column.rows.cpu(), "digests": column.digests}, file)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
    except (OSError, RuntimeError):
        return False
    return True
