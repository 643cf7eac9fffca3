"""The torchdistill config as data; torchdistill itself is in `tests/frameworks`."""

import pytest
import yaml

from mapsearch.exports.write import write


def config(source, folder):
    write("torchdistill", source, folder / "recipe.yaml")
    text = (folder / "recipe.yaml").read_text()
    assert "!import_get {key: torch.utils.data.RandomSampler}" in text
    return yaml.safe_load(text.replace("!import_get", ""))


def test_the_config_trains_as_the_study_did(distilled, tmp_path):
    source = distilled("images", lr_factor=3.0).source
    train = config(source, tmp_path)["train"]
    assert train["criterion"]["kwargs"]["model_term"]["weight"] == pytest.approx(0.3)
    assert train["student"]["auxiliary_model_wrapper"]["kwargs"] == {"n_batches": 3}
    assert train["train_data_loader"]["kwargs"]["batch_size"] == 8
    assert train["optimizer"]["kwargs"] == {"lr": 0.006, "weight_decay": 0.01}
    assert (train["optimizer"]["max_grad_norm"], train["optimizer"]["grad_accum_step"]) == (5.0, 1)
    assert train["scheduler"]["kwargs"] == {"n_steps": 3, "warmup": 0.05, "schedule": "cosine"}


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
    ("name", "plugin"), [("a-b.yml", "a_b_plugin.py"), ("7.yaml", "_7_plugin.py"), ("recipe.yaml", "recipe_plugin.py")]
)
def test_the_plugin_can_be_imported_whatever_the_config_is_called(name, plugin, distilled, tmp_path):
    files, left_out = write("torchdistill", distilled("tags", pairs=False).source, tmp_path / name)
    assert [path.name for path in files] == [name, plugin]
    assert left_out == ()
