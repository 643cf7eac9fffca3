"""A study whose rows are mixed and whose terms are steered, from its file to its exports."""

import pytest
import yaml

from mapsearch.api import exports, queries
from mapsearch.controller.run import run, run_study
from mapsearch.core.trials import PROPOSALS, Trial

MIXED = {
    "space": {"aggregation": ["mix", "fuse"], "balance": ["frozen", "gate"]},
    "search": {"trials": 3},
    "confirm": {"seeds": 2},
}


@pytest.fixture
def study(spec):
    return spec(**MIXED)


@pytest.mark.slow
def test_what_was_learned_is_kept_shown_and_exported_also_after_an_interruption(study, url, tmp_path, results):
    update = run(study, url, inline=True)
    next(item for item in update if isinstance(item, Trial) and item.proposer in PROPOSALS)
    update.close()
    run_study(study, url, inline=True)
    whole = f"sqlite:///{tmp_path / 'whole.db'}"
    run_study(study, whole, inline=True)
    assert results(url, reproducible=True) == results(whole, reproducible=True)

    trials, runs = results(url)
    controls = {t.control: t for t in trials if t.proposer == "control"}
    assert {controls[name].recipe.aggregation for name in ("uniform", "all")} == {"mix"}
    every = controls["all"]
    learned = next(r.result for r in runs if r.trial == every.number and r.stage == "search")
    assert len(learned.mixed_weights) == len(learned.norms) == len(every.recipe.mapping.pairs) == 8
    shown = queries.show("tiny", url)["trials"]
    assert shown[every.number]["mixed_weights"] == pytest.approx(learned.mixed_weights)
    assert shown[controls["outputs"].number]["mixed_weights"] is None
    for target, suffix in (("mapsearch", ".yaml"), ("torch", ".py")):
        path = tmp_path / f"{target}{suffix}"
        said = exports.export("tiny", target, path, trial=every.number, verify=True, storage=url)
        assert "verified, 3 steps: first loss " in said
    assert yaml.safe_load((tmp_path / "mapsearch.yaml").read_text())["mixed_weights"] == list(learned.mixed_weights)
