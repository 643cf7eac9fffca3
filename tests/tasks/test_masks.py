import torch

from mapsearch.core.masks import mask_for
from mapsearch.tasks.masks import decoder_masks, mask_of

READ = torch.tensor([[1, 1, 1], [1, 1, 0]])
LABELS = torch.tensor([[5, -100, 7, -100], [5, 6, 7, 8]])


def test_the_sequences_of_a_sample_follow_each_other():
    assert mask_of({"attention_mask": torch.tensor([[[1, 0], [1, 1]]])}).tolist() == [[True, False, True, True]]


def test_a_decoders_tokens_end_with_the_labels():
    masks = decoder_masks({"attention_mask": READ, "labels": LABELS})
    assert mask_for(masks, "model.encoder.layers.0").tolist() == [[True, True, True], [True, True, False]]
    for layer in ("decoder.block.1", "model.decoder.layers.0", "outputs"):
        assert mask_for(masks, layer).tolist() == [[True, True, True, False], [True] * 4]


def test_a_decoders_own_mask_comes_before_the_labels():
    masks = decoder_masks({"attention_mask": READ, "decoder_attention_mask": READ[:, :2], "labels": LABELS})
    assert mask_for(masks, "decoder.block.1").tolist() == [[True, True], [True, True]]


def test_speech_has_tokens_in_the_decoder_only():
    masks = decoder_masks({"input_features": torch.zeros(2, 8, 9), "labels": LABELS})
    assert mask_for(masks, "model.encoder.layers.0") is None
    assert mask_for(masks, "model.decoder.layers.0").shape == (2, 4)


def test_tokens_of_sound_are_those_whose_windows_are_real():
    batch = {"input_values": torch.zeros(3, 20), "attention_mask": (torch.arange(20) < torch.tensor([[20], [12], [3]]))}
    mask = mask_of(batch, ((4, 2), (3, 2)))  # 20 samples -> 9 -> 4 tokens, 12 -> 5 -> 2
    assert mask.tolist() == [[True] * 4, [True, True, False, False], [False] * 4]
    assert mask_of({**batch, "input_ids": 0}).shape == (3, 20)


def test_where_nothing_tells_the_decoders_tokens_there_is_one_mask():
    assert decoder_masks({"attention_mask": READ, "labels": torch.zeros(2)}).equal(READ.bool())
    assert decoder_masks((READ, LABELS)) is None
