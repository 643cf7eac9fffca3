"""The torchdistill config as data; torchdistill itself is in `tests/frameworks`."""

import pytest
import yaml

from mapsearch.exports.source import multipliers
from mapsearch.exports.write import write


def config(source, folder):
    write("torchdistill", source, folder / "recipe.yaml")
    text = (folder / "recipe.yaml").read_text()
    assert "!import_get {key: torch.utils.data.RandomSampler}" in text
    return yaml.safe_load(text.replace("!import_get", ""))


def test_the_mapping_stands_in_the_config(distilled, tmp_path):
    source = distilled("images").source
    train = config(source, tmp_path)["train"]
    terms = train["criterion"]["kwargs"]["sub_terms"]
    assert [(terms[f"feature{i}"]["criterion"]["kwargs"]) for i in range(3)] == [
        {"term": "feature0", "student": "blocks.0", "teachers": ["blocks.0"]},
        {"term": "feature1", "student": "blocks.0", "teachers": ["blocks.1"]},
        {"term": "feature2", "student": "blocks.1", "teachers": ["blocks.2"]},
    ]
    assert tuple(terms[f"feature{i}"]["weight"] for i in range(3)) == multipliers(source.recipe, source.scales)
    assert terms["outputs"]["weight"] == pytest.approx(0.3 * 2)
    assert train["criterion"]["kwargs"]["model_term"]["weight"] == pytest.approx(0.3)
    wrapper = train["student"]["auxiliary_model_wrapper"]["kwargs"]
    assert wrapper["layers"] == ["blocks.0", "blocks.1"]
    assert (wrapper["anneal"], wrapper["n_batches"]) == (0.5, 3)
    assert [*wrapper["terms"]] == ["feature0", "feature1", "feature2"]


def test_every_key_is_registered_by_the_plugin_beside_it(distilled, tmp_path):
    for number, fields in enumerate([{}, {"aggregation": "mix"}, {"pairs": False}]):
        folder = tmp_path / str(number)
        folder.mkdir()
        data = config(distilled("tags", **fields).source, folder)
        assert data["dependencies"] == [{"name": "recipe_plugin"}]
        plugin = (folder / "recipe_plugin.py").read_text()
        text = (folder / "recipe.yaml").read_text()
        used = {word.rstrip(",}") for word in text.split() if word.startswith("recipe_plugin.")}
        assert len(used) >= 4
        for name in used:
            assert f'(key=f"{{__name__}}.{name.removeprefix("recipe_plugin.")}")' in plugin


@pytest.mark.parametrize(
    ("name", "plugin"), [("a-b.yml", "a_b_plugin.py"), ("7.yaml", "_7_plugin.py"), ("recipe", "recipe_plugin.py")]
)
def test_the_plugin_can_be_imported_whatever_the_config_is_called(name, plugin, distilled, tmp_path):
    files, left_out = write("torchdistill", distilled("tags", pairs=False).source, tmp_path / name)
    assert [path.name for path in files] == [name, plugin]
    assert left_out == ()
