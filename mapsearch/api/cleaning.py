"""What studies can do without: caches, loss curves, spools. Nothing here imports torch."""

import shutil
from pathlib import Path

from mapsearch.core.disk_use import DiskUse
from mapsearch.core.folders import cache_folder, spool_file
from mapsearch.core.studies import DEFAULT_STORAGE
from mapsearch.store.spool import Spool
from mapsearch.store.store import Store


def disk_use(name: str | None = None, storage: str = DEFAULT_STORAGE) -> list[DiskUse]:
    """What a study, or every study, takes on this machine and in the database that could be freed.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
    """
    with Store.open_to_read(storage) as store:
        names = [name] if name is not None else [study.name for study in store.studies()]
        return [_disk_use(store, one, storage) for one in names]


def clean(name: str, storage: str = DEFAULT_STORAGE) -> DiskUse:
    """Free them, and tell what was freed: what cannot be removed stays.

    What the study found stays, too; what a task keeps is made again when needed.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StudyBusy: the study runs.
    """
    Store.open_to_read(storage).close()  # to open a database for writing would make it
    with Store.open(storage) as store, store.maintain(name) as study:
        before = _disk_use(store, name, storage)
        shutil.rmtree(cache_folder(storage, name), ignore_errors=True)
        if not before.n_unwritten:
            spool_file(storage, study.id).unlink(missing_ok=True)
        if before.curves:
            study.drop_curves()
            store.compact()
        return before.less(_disk_use(store, name, storage))


def _disk_use(store: Store, name: str, storage: str) -> DiskUse:
    spool = spool_file(storage, store.id_of(name))
    waits = store.study(name).state != "complete"
    n_unwritten = Spool(spool).n_results if waits else 0
    return DiskUse(name, _size(cache_folder(storage, name)), store.curve_bytes(name), _size(spool), n_unwritten)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
