"""The JSON for TextBrewer and the module beside it; `tests/frameworks` runs them."""

import ast
import json

import pytest

from mapsearch.core.errors import ExportError, FrameworkMissing
from mapsearch.exports.source import multipliers
from mapsearch.exports.targets import TARGETS, write
from mapsearch.exports.verify import verify


@pytest.fixture
def written(distilled, tmp_path):
    """The config and the text of its adaptors for a recipe, and the study."""

    def make(task, **fields):
        study = distilled(task, **fields)
        write("textbrewer", study.source, tmp_path / "distill.json")
        config = json.loads((tmp_path / "distill.json").read_text())
        return config, (tmp_path / "distill_adaptor.py").read_text(), study.source

    return make


def constants(text):
    """The literals that a module assigns."""
    tree = ast.parse(text)
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def test_tokens_are_matched_by_textbrewers_own_losses(written):
    config, adaptor, source = written("tags", loss="cosine")
    weights = multipliers(source.recipe, source.scales)
    assert config == {
        "temperature": 3.0,
        "kd_loss_type": "ce",
        "kd_loss_weight": pytest.approx(0.3 * 2.0 * 3.0**2),
        "hard_label_weight": pytest.approx(0.3),
        "intermediate_matches": [
            {
                "layer_T": t,
                "layer_S": s,
                "feature": "hidden",
                "loss": "cos",
                "weight": pytest.approx(weight),
                "proj": ["linear", 8, 12],
            }
            for s, t, weight in zip((0, 0, 1), (0, 1, 2), weights, strict=True)
        ],
    }
    assert constants(adaptor) == {
        "STUDENT_LAYERS": [("layers.0", "tokens", None), ("layers.1", "tokens", None)],
        "TEACHER_LAYERS": [(f"layers.{i}", "tokens", None) for i in range(3)],
        "ANNEAL": 0.5,
    }
    assert "register_new(" not in adaptor
    assert "plus the entropy of the teacher's softened distributions" in " ".join(adaptor.split())
    assert "direction: student <- teacher" in adaptor


def test_what_textbrewer_lacks_is_registered_by_the_module(written):
    config, adaptor, _ = written("images", loss="gram", logit_loss="dkd")
    assert config["kd_loss_type"] == "mapsearch_dkd"
    assert config["kd_loss_weight"] == pytest.approx(0.3 * 2.0)  # without temperature^2: it is in the loss
    assert {match["loss"] for match in config["intermediate_matches"]} == {"mapsearch_gram"}
    assert not any("proj" in match for match in config["intermediate_matches"])
    assert 'register_new("match_Loss", "mapsearch_gram", partial(compared, gram, False))' in adaptor
    assert 'register_new("kd_loss", "mapsearch_dkd", dkd)' in adaptor
    assert "The total loss is that of the recipe." in adaptor


def test_tokens_of_a_grid_have_an_index_of_their_own(written):
    _, adaptor, _ = written("patches")
    assert constants(adaptor)["STUDENT_LAYERS"] == [("layers.0", "tokens", (3, 3)), ("layers.1", "tokens", (3, 3))]


def test_a_recipe_without_features_has_no_matches(written):
    config, adaptor, _ = written("tags", pairs=False)
    assert config["intermediate_matches"] == []
    assert constants(adaptor)["STUDENT_LAYERS"] == []


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"task": "tags", "loss": "vid"}, "the feature loss is `vid`, and the target has attention, "),
        ({"task": "tags", "aggregation": "fuse"}, "the aggregation is `fuse`, and the target has sum only"),
        (
            {"task": "images", "projector": "mlp"},
            "`blocks.0` and `blocks.0` differ in size, and the target projects before it averages",
        ),
    ],
)
def test_what_it_cannot_express_is_refused_with_lossy_as_well(recipe, message, distilled, tmp_path):
    source = distilled(**recipe).source
    for lossy in (False, True):
        with pytest.raises(ExportError, match=f"target `textbrewer` cannot express trial 0: {message}"):
            write("textbrewer", source, tmp_path / "distill.json", lossy=lossy)
    assert not list(tmp_path.iterdir())


def test_an_existing_module_is_not_overwritten_and_nothing_else_written(distilled, tmp_path):
    (tmp_path / "my_run_adaptor.py").write_text("mine")
    with pytest.raises(ExportError, match=r"my_run_adaptor.py exists; choose another -o or delete it$"):
        write("textbrewer", distilled("tags").source, tmp_path / "my-run.json")
    assert [path.name for path in tmp_path.iterdir()] == ["my_run_adaptor.py"]


@pytest.mark.skipif(not TARGETS["textbrewer"].missing, reason="TextBrewer is installed")
def test_verifying_without_textbrewer_says_how_to_install_it(distilled, tmp_path):
    study = distilled("tags")
    write("textbrewer", study.source, tmp_path / "distill.json")
    with pytest.raises(FrameworkMissing, match="needs textbrewer, which is not installed; pip install textbrewer"):
        verify(tmp_path / "distill.json", "textbrewer", study.source, study.loaded, study.space, study.train)


def test_the_module_says_of_which_trial_the_config_is(distilled, tmp_path):
    write("textbrewer", distilled("tags").source, tmp_path / "7 days.json")
    header = TARGETS["textbrewer"].header(tmp_path / "7 days.json")
    assert header.name == "_7_days_adaptor.py"
    assert "study: small, trial 0, reference seed 4" in header.read_text()
