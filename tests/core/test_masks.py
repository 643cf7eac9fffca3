from mapsearch.core.masks import mask_for, sequence_of

MASKS = {"outputs": 1, "decoder": 2, "*.decoder": 2, "text.*.1": 3, "*": 4}


def test_one_mask_is_that_of_every_layer():
    assert mask_for("all", "encoder.block.0") == mask_for("all", "outputs") == "all"
    assert mask_for(None, "encoder.block.0") is None


def test_the_first_name_or_glob_that_means_the_layer_or_what_it_is_part_of_counts():
    layers = ("outputs", "decoder.block.0", "model.decoder.layers.3.fc1", "text.layers.1.mlp", "text.layers.11")
    assert [mask_for(MASKS, layer) for layer in layers] == [1, 2, 2, 3, 4]
    assert mask_for(MASKS, "decoder.bert.encoder.layer.0") == 2, "the encoder that serves as a decoder"
    assert mask_for({"decoder": 2}, "encoder.block.0") is None


def test_of_several_layers_the_first_with_a_mask_counts():
    masks = {"encoder": None, "decoder": 2, "outputs": 1}
    assert mask_for(masks, "blocks.0", "decoder.0", "outputs") == 2


def test_calls_entries_and_layouts_have_the_mask_of_their_layer():
    names = ("decoder[hidden]", "decoder#2", "decoder#2[1]", "decoder@sequence_first", "decoder.block.0[0]")
    assert {mask_for({"decoder": 2}, name) for name in names} == {2}


def test_layers_with_one_mask_are_of_one_sequence():
    written, read = object(), object()
    masks = {"outputs": written, "decoder": written, "*.decoder": written, "*": read}
    names = ("model.decoder.layers.0", "decoder.block.1", "model.encoder.layers.0", "encoder.block.0")
    assert [sequence_of(masks, name) for name in names] == ["decoder", "decoder", "*", "*"]
    assert {sequence_of(mask, "decoder.block.1") for mask in (None, written, {"encoder": read})} == {""}
