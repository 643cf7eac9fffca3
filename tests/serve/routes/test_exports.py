import io
import zipfile

import pytest

from mapsearch.exports.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_downloads_what_it_does_not_refuse(service, target):
    told = {row["target"]: row for row in service.call("GET", "/studies/tiny/exports").json}[target]
    exact = service.call("GET", f"/studies/tiny/exports/{target}")
    assert exact.status == (422 if told["losses"] or told["refusals"] else 200), exact.body
    lossy = service.call("GET", f"/studies/tiny/exports/{target}?lossy=true")
    assert lossy.status == (422 if told["refusals"] else 200)
    if lossy.status == 200:
        assert lossy.headers["content-disposition"].startswith('attachment; filename="tiny-')
        if lossy.headers["content-disposition"].endswith('.zip"'):
            assert len(zipfile.ZipFile(io.BytesIO(lossy.body)).namelist()) > 1


def test_a_trial_that_is_not_there_and_a_target_that_is_not_there_are_refused(service):
    assert service.call("GET", "/studies/tiny/exports/torch?trial=9999").status == 422
    assert service.call("GET", "/studies/tiny/exports/tensorflow").status == 422
