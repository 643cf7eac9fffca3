import pytest

from mapsearch.api.inspect import layers_of, similarity_of
from mapsearch.core.errors import LayerNotFound


def test_all_layers_of_both_networks(spec, url):
    found = layers_of(spec(), url)
    assert {layer.path: layer.shape for layer in found["teacher"].listed if layer.path.startswith("blocks.3")} == {
        "blocks.3": (16,),
        "blocks.3.linear": (16,),
    }
    assert {layer.path for layer in found["student"].listed if layer.problem} == {"blocks"}
    assert found["student"].taking_part == {"blocks.0", "blocks.1"}


def test_layers_are_listed_where_the_study_file_names_them_wrongly(spec, url):
    found = layers_of(spec(layers={"teacher": ["block.*"]}), url)
    assert found["teacher"].listed
    assert found["teacher"].taking_part == frozenset()


def test_similarity_of_the_layers_that_take_part(spec, url):
    found = similarity_of(spec(layers={"teacher": ["blocks.1", "blocks.3"]}), url)
    assert found.student_layers == ("blocks.0", "blocks.1")
    assert found.teacher_layers == ("blocks.1", "blocks.3")
    assert found.n_samples == 64
    assert similarity_of(spec(layers={"teacher": ["blocks.1", "blocks.3"]}), url) == found


def test_a_layer_that_is_not_there(spec, url):
    with pytest.raises(LayerNotFound, match=r"student has no layer `blocks\.7`; did you mean"):
        similarity_of(spec(layers={"student": ["blocks.7"]}), url)
