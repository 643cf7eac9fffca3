from mapsearch.core.losses import LOSS_TRAITS


def test_only_losses_between_channels_are_projected_and_only_those_between_samples_stay_unaligned():
    assert [name for name, traits in LOSS_TRAITS.items() if traits.projected] == ["nmse", "mse", "cosine", "vid"]
    assert {traits.compares for traits in LOSS_TRAITS.values() if not traits.aligned} == {"samples"}


def test_losses_between_samples_need_some():
    assert all((traits.min_samples > 1) == (traits.compares == "samples") for traits in LOSS_TRAITS.values())
