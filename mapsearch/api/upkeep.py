"""What people do to a stored study: another name, a copy, a note, its end. Nothing here imports torch."""

import re
import shutil
from contextlib import suppress
from pathlib import Path

from mapsearch.core.errors import SpecError, StoreError, StudyChanged
from mapsearch.core.folders import cache_folder, spool_file
from mapsearch.core.studies import DEFAULT_STORAGE, LONGEST_NAME, STUDY_NAME
from mapsearch.core.text import shortened
from mapsearch.store.rows import now
from mapsearch.store.store import Store

LONGEST_NOTE = 20_000
"""Characters of a note."""


def rename(name: str, new_name: str, storage: str = DEFAULT_STORAGE) -> Path | None:
    """Give a study another name. Its file keeps the old one, and is to be given the new one, too.

    One that the service is to start is started under its new name. What its task keeps on disk goes with it; gives
    the folder if it cannot be moved.

    Raises:
        SpecError: the new name is none.
        StudyNotFound: no study of that name; close matches are named.
        StudyChanged: another study has the new name.
        StudyBusy: the study runs.
    """
    _require_name(new_name)
    from mapsearch.proposers.optuna_record import rename_record  # Optuna takes half a second to import

    _require(storage)
    with Store.open(storage) as store, store.maintain(name) as study:
        _require_free(store, new_name)
        with study.guarded():  # first, so that the same command goes on after a crash in between
            rename_record(study.url, name, new_name, study.study().created_at)
        study.rename(new_name)
        return _move_cache(name, new_name, storage)


def copy(name: str, new_name: str, storage: str = DEFAULT_STORAGE) -> None:
    """Add a study under another name that holds all that this one found, and goes on by itself from there.

    What its task keeps on disk, such as a trained teacher, is copied too: both studies teach by the same one.

    Raises:
        SpecError: the new name is none.
        StudyNotFound: no study of that name; close matches are named.
        StudyChanged: another study has the new name.
        StudyBusy: the study runs.
        StoreError: its task's files cannot be copied; nothing was.
    """
    _require_name(new_name)
    from mapsearch.proposers.optuna_record import copy_record

    _require(storage)
    with Store.open(storage) as store, store.maintain(name) as study:
        _require_free(store, new_name)
        created_at = now()
        _copy_cache(name, new_name, storage)
        with study.guarded():
            copy_record(study.url, name, new_name, study.study().created_at, created_at)
        study.copy(new_name, created_at)


def delete(name: str, storage: str = DEFAULT_STORAGE) -> list[Path]:
    """Remove a study with all that it found, Optuna's record and its task's cache folder too.

    Gives the files and folders that could not be removed.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StudyBusy: the study runs.
    """
    from mapsearch.proposers.optuna_record import delete_record

    _require(storage)
    with Store.open(storage) as store, store.maintain(name) as study:
        with study.guarded():
            delete_record(study.url, name, study.study().created_at)
        cache, spool = cache_folder(storage, name), spool_file(storage, study.id)
        shutil.rmtree(cache, ignore_errors=True)
        study.delete()
        with suppress(OSError):
            spool.unlink(missing_ok=True)
        return [path for path in (cache, spool) if path.exists()]


def note(name: str, text: str, storage: str = DEFAULT_STORAGE) -> None:
    """Replace what people wrote about a study; an empty text removes it.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        SpecError: the text is too long.
    """
    if len(text) > LONGEST_NOTE:
        raise SpecError(f"a note must have {LONGEST_NOTE} characters at most, but has {len(text)}; shorten it")
    _require(storage)
    with Store.open(storage) as store:
        store.set_note(name, text)


def _move_cache(name: str, new_name: str, storage: str) -> Path | None:
    """What an earlier study of the new name has left is another task's. Gives what cannot be moved."""
    old, new = (cache_folder(storage, named) for named in (name, new_name))
    shutil.rmtree(new, ignore_errors=True)
    with suppress(OSError):
        old.rename(new)
    return old if old.exists() else None


def _copy_cache(name: str, new_name: str, storage: str) -> None:
    old, new = (cache_folder(storage, named) for named in (name, new_name))
    if not old.is_dir():
        return
    try:
        shutil.copytree(old, new, dirs_exist_ok=True)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        why = error.strerror or error.args[0][0][2]  # a failed copy of a tree names every file
        raise StoreError(f"{old} cannot be copied to {new}: {why}; nothing was copied") from None


def _require_name(name: str) -> None:
    if not re.fullmatch(STUDY_NAME, name) or len(name) > LONGEST_NAME:
        raise SpecError(
            f"a study's name must be letters, digits, `.`, `_` and `-`, {LONGEST_NAME} at most and a letter or digit "
            f"first, but got {shortened(name)}"
        )


def _require_free(store: Store, name: str) -> None:
    if name in {known.name for known in store.studies()}:
        raise StudyChanged(f"there is a study `{name}` already; choose another name")


def _require(storage: str) -> None:
    """Raises `NoDatabase` where there is none: to write to one would make it."""
    Store.open_to_read(storage).close()
