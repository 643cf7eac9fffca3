"""What the Hugging Face configuration of a model says of its outputs and labels."""

from dataclasses import replace
from typing import Any

from torch import nn

from mapsearch.core.outputs import Outputs


def configured(form: Outputs, model: nn.Module) -> Outputs:
    """The outputs with what the model's configuration says of them; as they are where it has none."""
    config = getattr(model, "config", None)
    ignored = getattr(config, "semantic_loss_ignore_index", None)
    return replace(
        form,
        from_decoder=getattr(config, "is_encoder_decoder", False) is True,
        ignored=ignored if isinstance(ignored, int) else None,
        windows=_windows(config),
    )


def _windows(config: Any) -> tuple[tuple[int, int], ...]:
    """Those of wav2vec 2.0 and its kin; some of which squeeze the tokens once more."""
    kernels, strides = (getattr(config, name, None) for name in ("conv_kernel", "conv_stride"))
    if not (isinstance(kernels, (list, tuple)) and isinstance(strides, (list, tuple))) or len(kernels) != len(strides):
        return ()
    return () if hasattr(config, "squeeze_factor") else tuple(zip(kernels, strides, strict=True))
