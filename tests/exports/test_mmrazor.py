"""The config for MMRazor and the plugin beside it; `tests/frameworks` runs them."""

import ast

import pytest

from mapsearch.core.errors import ExportError, FrameworkMissing
from mapsearch.exports.source import multipliers
from mapsearch.exports.targets import TARGETS, write
from mapsearch.exports.verify import verify


@pytest.fixture
def written(distilled, tmp_path):
    """What the config assigns, the text of its plugin, and the study."""

    def make(task, **fields):
        study = distilled(task, **fields)
        write("mmrazor", study.source, tmp_path / "distill.py", lossy=task == "tags")
        names = {}
        exec((tmp_path / "distill.py").read_text(), names)
        return names, (tmp_path / "distill_plugin.py").read_text(), study.source

    return make


def test_a_term_is_a_recorder_on_either_side_and_a_loss_between_them(written):
    config, _, source = written("images")
    distiller = config["model"]["distiller"]
    assert (config["model"]["_scope_"], config["model"]["type"]) == ("mmrazor", "MapsearchDistill")
    assert config["model"]["task_multiplier"] == pytest.approx(0.3)
    assert config["custom_imports"] == {"imports": ["distill_plugin"]}
    assert config["custom_hooks"] == [{"type": "mmrazor.MapsearchFade"}]
    assert [x["source"] for x in distiller["student_recorders"].values()] == [
        ["head.fc"], ["blocks.0"], ["blocks.0"], ["blocks.1"]
    ]  # fmt: skip
    assert [x["source"] for x in distiller["teacher_recorders"].values()] == [
        ["head.fc"], ["blocks.0"], ["blocks.1"], ["blocks.2"]
    ]  # fmt: skip
    logits, *terms = distiller["distill_losses"].values()
    assert logits == {"type": "MapsearchLogitLoss", "multiplier": pytest.approx(0.6), "temperature": 3.0}
    assert [term["multiplier"] for term in terms] == list(multipliers(source.recipe, source.scales))
    assert {term["anneal"] for term in terms} == {0.5}
    assert terms[0]["projector"] == {
        "student_kind": "map", "teacher_kind": "map", "student_width": 4, "teacher_width": 8, "projection": "linear"
    }  # fmt: skip
    assert all("loss" in name for name in distiller["distill_losses"])  # mmengine sums those


def test_a_mixture_is_one_term_of_several_teacher_layers(written):
    config, plugin, _ = written("images", aggregation="fuse", logit_weight=0.0, anneal=None)
    distiller = config["model"]["distiller"]
    assert [x["source"] for x in distiller["teacher_recorders"].values()] == [["blocks.0", "blocks.1"], ["blocks.2"]]
    assert "custom_hooks" not in config
    assert "student_logits" not in config
    assert "MixedTerm(nmse, **term)" in plugin
    assert "MapsearchLogitLoss" not in plugin


def test_the_plugin_defines_each_type_that_the_config_names(written):
    _, plugin, source = written("images", logit_loss="dkd")
    classes = {node.name for node in ast.parse(plugin).body if isinstance(node, ast.ClassDef)}
    assert {"MapsearchDistill", "MapsearchFeaturesRecorder", "MapsearchFeatureLoss", "MapsearchFade"} <= classes
    assert "self.multiplier * dkd(student[0], teachers[0], self.temperature)" in plugin
    assert all(line in " ".join(plugin.split()) for line in source.provenance)


def test_padding_is_lost_and_that_is_said(distilled, tmp_path):
    source = distilled("tags").source
    with pytest.raises(ExportError, match="target `mmrazor` loses something of trial 0: padding among tokens"):
        write("mmrazor", source, tmp_path / "distill.py")
    _, losses = write("mmrazor", source, tmp_path / "distill.py", lossy=True)
    assert losses[0] in " ".join((tmp_path / "distill.py").read_text().split())


@pytest.mark.skipif(not TARGETS["mmrazor"].missing, reason="MMRazor is installed")
def test_verifying_without_mmrazor_says_how_to_install_it(distilled, tmp_path):
    study = distilled("images")
    write("mmrazor", study.source, tmp_path / "distill.py")
    with pytest.raises(FrameworkMissing, match="needs mmrazor, mmengine, mmcv, which is not installed; pip install mm"):
        verify(tmp_path / "distill.py", "mmrazor", study.source, study.loaded, study.space, study.train)
