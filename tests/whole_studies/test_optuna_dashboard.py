"""Optuna's own dashboard opens a real study and shows it by our names."""

import json
from wsgiref.util import setup_testing_defaults

import optuna
import pytest

from mapsearch.api.queries import show

dashboard = pytest.importorskip("optuna_dashboard", reason="`optuna-dashboard` is not installed")


@pytest.fixture
def get(finished):
    """`get(path)` -> what the dashboard answers its own page."""
    storage = optuna.storages.RDBStorage(finished[1])
    app = dashboard.wsgi(storage)

    def get(path):
        environment, statuses = {"PATH_INFO": path, "QUERY_STRING": "after=0"}, []
        setup_testing_defaults(environment)
        body = b"".join(app(environment, lambda status, headers, *_: statuses.append(status)))
        assert statuses == ["200 OK"], body[:200]
        return json.loads(body)

    yield get
    storage.remove_session()
    storage.engine.dispose()


def test_a_study_its_trials_and_their_parameters_have_our_names(finished, get):
    (study,) = get("/api/studies")["study_summaries"]
    assert (study["study_name"], study["directions"]) == ("tiny", ["maximize"])
    shown = get(f"/api/studies/{study['study_id']}")
    assert shown["objective_names"] == ["accuracy"]
    fixed = {attribute["key"]: attribute["value"] for attribute in shown["user_attrs"]}
    ours = {trial["number"]: trial for trial in show("tiny", finished[1])["trials"]}
    for trial in shown["trials"]:
        told = {attribute["key"]: attribute["value"] for attribute in trial["user_attrs"]}
        own = ours[int(told["trial"])]
        assert trial["values"] == [pytest.approx(own["value"])]
        assert told["proposer"] == own["proposer"]
        assert own["recipe"]["loss"] in told["recipe"]
        params = {**fixed, **{param["name"]: param["param_external_value"] for param in trial["params"]}}
        assert params["recipe.loss"] == own["recipe"]["loss"]
        assert float(params["recipe.feature_share"]) == pytest.approx(own["recipe"]["feature_share"])
    assert len(shown["trials"]) >= 2
