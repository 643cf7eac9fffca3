"""The canonical YAML and what may go wrong when it is read back."""

from dataclasses import replace

import pytest
import yaml

from mapsearch.core.errors import ExportError
from mapsearch.exports.recipe_file import read
from mapsearch.exports.source import multipliers
from mapsearch.exports.write import write


@pytest.fixture(scope="module")
def source(distilled):
    return distilled("images").source


@pytest.fixture
def path(source, tmp_path):
    write("mapsearch", source, tmp_path / "recipe.yaml")
    return tmp_path / "recipe.yaml"


def edit(path, **changes):
    data = {**yaml.safe_load(path.read_text()), **changes}
    path.write_text(yaml.safe_dump({key: value for key, value in data.items() if value != "deleted"}))


def written(source, path):
    """What a file holds of a source: all but the layers that have no part in the recipe."""
    settings = source.settings.seen_from(path.parent)
    return replace(source, settings=settings)


def test_the_trial_comes_back_to_the_last_bit(source, path):
    assert read(path) == written(source, path)


def test_the_file_says_how_the_trial_was_trained(source, path):
    data = yaml.safe_load(path.read_text())
    assert data["train"] == source.settings.train.model_dump()
    assert data["task"].endswith("task.py:Small")


def test_the_task_is_named_from_where_the_file_lies(source, tmp_path):
    settings = source.settings.model_copy(update={"folder": tmp_path / "study"})
    (tmp_path / "recipes").mkdir()
    write("mapsearch", replace(source, settings=settings), tmp_path / "recipes" / "recipe.yaml")
    found = read(tmp_path / "recipes" / "recipe.yaml").settings
    assert found.task == "../study/task.py:Small"
    assert found.task_reference(tmp_path).file.resolve() == (tmp_path / "study" / "task.py").resolve()
    package = settings.model_copy(update={"task": "package.module:Small"})
    assert package.seen_from(tmp_path / "elsewhere").task == "package.module:Small"


def test_multipliers_stand_there_for_other_trainers(source, path):
    data = yaml.safe_load(path.read_text())
    assert data["multipliers"] == list(multipliers(source.recipe, source.scales))
    assert (data["study"], data["trial"], data["seed"]) == ("small", 0, 4)


LAYER = {"path": "a", "type": "Linear", "kind": "map", "shape": [4, 2, 2], "calls": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scales": "deleted"}, "`scales` is missing; export it again"),
        ({"scale": 1}, "unknown key `scale`; did you mean `scales`?"),
        ({"scales": [1.0]}, r"`scales` must be 3 finite numbers > 0, one per pair, but got \[1.0\]"),
        ({"scales": [1.0, -1.0, 2.0]}, "`scales.1`: input should be greater than 0, but got -1.0"),
        ({"scales": [1.0, float("inf"), 2.0]}, "`scales.1`: input should be a finite number, but got inf"),
        ({"train": "deleted"}, "`train` is missing; export it again"),
        ({"folder": "x"}, "`folder` is not a key of a recipe"),
        ({"multipliers": [0.1, 0.2, 0.3]}, "the multiplier of `blocks.0 <- blocks.0` must be feature_share"),
        ({"recipe": {"feature_share": 2.0}}, "recipe: `feature_share` must satisfy 0 <= feature_share <= 1"),
        ({"recipe": {"temprature": 2.0}}, "recipe: recipe has no `temprature`; did you mean `temperature`?"),
        ({"train": {"stepz": 3}}, "unknown key `train.stepz`; did you mean `steps`?"),
        ({"layers": {"student": []}}, "`layers.teacher` is missing"),
        (
            {"layers": {"student": [LAYER | {"kind": "mpa"}], "teacher": []}},
            "`layers.student.0.kind`: .*'mpa'; did you",
        ),
        ({"outputs": {"kinds": "labels"}}, "`outputs.kinds`: unexpected"),
        ({"versions": {"mapsearch": "1", "torhc": "2", "torch": "2"}}, "unknown key `versions.torhc`; did you mean"),
        ({"trial": "three"}, "`trial`: input should be a valid integer, .* but got 'three'"),
        ({"values": ["high"]}, "`values.0`: input should be a valid number, .* but got 'high'"),
        ({"recipe": None}, "`recipe`: input should be a valid dictionary, but got None"),
        ({"recipe": {"pairs": 3}}, "`recipe` is not what `mapsearch export` writes"),
        ({"recipe": {"pairs": [{"student": 1, "teacher": "x", "weight": "a"}]}}, "`recipe` is not what"),
    ],
)
def test_a_broken_file_is_one_clear_line_with_its_path(changes, message, path):
    edit(path, **changes)
    with pytest.raises(ExportError, match=f"recipe.yaml: {message}"):
        read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "recipe.yaml: not valid YAML"), ("- 1", "must be a mapping of keys to values, but got list")],
)
def test_a_file_that_is_no_export_says_so(text, message, path):
    path.write_text(text)
    with pytest.raises(ExportError, match=message):
        read(path)


def test_all_problems_of_a_file_come_at_once(path):
    edit(path, trial="three", scales=[0.0, 1.0, 2.0])
    with pytest.raises(ExportError) as caught:
        read(path)
    assert len(caught.value.problems) == 2


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(ExportError, match=r"none.yaml: the exported file cannot be read"):
        read(tmp_path / "none.yaml")


@pytest.fixture(scope="module")
def mixed(distilled):
    return distilled("images", aggregation="mix").source


@pytest.fixture
def mixed_path(mixed, tmp_path):
    write("mapsearch", mixed, tmp_path / "recipe.yaml")
    return tmp_path / "recipe.yaml"


def test_a_mixed_recipe_comes_back_with_its_norms_and_tells_what_was_learned(mixed, mixed_path):
    assert read(mixed_path) == written(mixed, mixed_path)
    data = yaml.safe_load(mixed_path.read_text())
    assert data["mixed_weights"] == list(mixed.mixed_weights)
    assert len(data["mixed_weights"]) == 3
    assert (len(data["scales"]), len(data["multipliers"]), len(data["norms"])) == (2, 2, 3)


def test_a_summed_recipe_has_no_such_keys(path):
    assert not {"norms", "mixed_weights"} & set(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norms": "deleted"}, r"`norms` must be 3 finite numbers > 0, one per pair, but got \[\]"),
        ({"mixed_weights": [0.5]}, "`mixed_weights` must be 3 finite numbers > 0, one per pair"),
        ({"scales": [1.0] * 3}, "`scales` must be 2 finite numbers > 0, one per student layer"),
        ({"multipliers": [1.0] * 2}, "the multiplier of `blocks.0 <- blocks.0 .* blocks.1` must be feature_share"),
    ],
)
def test_a_broken_mixture_is_one_clear_line(changes, message, mixed_path):
    edit(mixed_path, **changes)
    with pytest.raises(ExportError, match=f"recipe.yaml: {message}"):
        read(mixed_path)
