"""What calls are given in their address, within the bounds of the database."""

from typing import Annotated

from fastapi import Path, Query

from mapsearch.core.studies import LONGEST_NAME, STUDY_NAME

LARGEST = 2**31 - 1

Name = Annotated[str, Path(pattern=STUDY_NAME, max_length=LONGEST_NAME, description="Name of the study.")]
TrialNumber = Annotated[int, Path(ge=0, le=LARGEST)]
ChosenTrial = Annotated[int | None, Query(ge=0, le=LARGEST, description="Unset: the recommended one.")]
AfterNumber = Annotated[int, Query(ge=-1, le=LARGEST, description="The last number of the page before.")]
AfterEvent = Annotated[int, Query(ge=0, le=LARGEST, description="The last id that is known.")]
Limit = Annotated[int, Query(ge=1, le=1000)]
