"""Which field of what a network returns is its own loss, and which the student is to match."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

LOGITS = "logits"
SENTENCE = "sentence_embedding"
HIDDEN = ("pooler_output", "last_hidden_state")
"""Fields of outputs without a head, the first that is there."""

TOWERS = ("image_embeds", "video_embeds", "audio_embeds", "text_embeds")
"""What networks of one tower or more output beside their hidden states, `[B, D]` each, such as CLIP and its parts."""

SPAN_LOGITS = ("start_logits", "end_logits")
"""What question answering outputs: where in the sequence the answer starts and ends."""


def own_loss(output: Any) -> Tensor | None:
    """The loss that the model computed, a scalar: `.loss`, `["loss"]`, or what stands first in a tuple."""
    if isinstance(output, (tuple, list)) and output:
        found = getattr(output, "loss", output[0])
    else:
        found = field(output, "loss")
    return found if isinstance(found, Tensor) and not found.ndim else None


def field(output: Any, name: str) -> Any:
    """An entry of a dict or an attribute of another object; None where there is none."""
    return output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)


def named_output(output: Any) -> tuple[str, Tensor] | None:
    """Which field of an output, or several taken together, the student is to match; None where it has none."""
    towers = {name: field(output, name) for name in TOWERS}
    towers = {name: x for name, x in towers.items() if isinstance(x, Tensor) and x.ndim == 2}
    found = {
        LOGITS: field(output, LOGITS),
        SENTENCE: field(output, SENTENCE),
        "` and `".join(towers): torch.cat([*towers.values()], 1) if towers else None,
        **{name: field(output, name) for name in HIDDEN},
        "` and `".join(SPAN_LOGITS): stacked(output, SPAN_LOGITS),
    }
    return next(((name, x) for name, x in found.items() if x is not None), None)


def stacked(output: Any, names: Sequence[str]) -> Tensor | None:
    """These fields as one tensor with a second axis of their number; None unless all are tensors."""
    found = [field(output, name) for name in names]
    return torch.stack(found, 1) if all(isinstance(tensor, Tensor) for tensor in found) else None
