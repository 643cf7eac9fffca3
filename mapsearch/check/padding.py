"""Checks of padding: whether tokens that are none are masked, in every layer that takes part and in the outputs."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from mapsearch.check.finding_log import FindingLog
from mapsearch.core.masks import OUTPUTS, mask_for
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.tasks.default_losses import UNLABELLED
from mapsearch.tasks.labels import integer_labels
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.masks import Masks
from mapsearch.tasks.nested import batch_size
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.padding import padding_share
from mapsearch.tasks.precision import forward_in

Tokens = dict[str, tuple[str, list[int]]]
"""Whose tokens, in words -> the layer's path, and the shape that its mask must have."""


def check_padding(log: FindingLog, loaded: LoadedTask, spec: StudySpec, space: RecipeSpace, batch: Any) -> None:
    """Whether masks fit the token layers and the outputs, or are missing where there is padding."""
    masks = loaded.task.mask(batch)
    tokens = _tokens(loaded, spec, space, batch)
    if masks is not None:
        _check_masks(log, masks, tokens)
    elif tokens:
        share = max(padding_share(batch), _unlabelled_ends(loaded, batch))
        problem = f"{share:.0%} of the positions look like padding, which the loss should leave out"
        where = "give `attention_mask` in a dict batch, or define `Task.mask(batch)` (bool `[B, L]`)"
        if share:
            log.add("error", "padding.unmasked", f"{problem}; {where}")
        else:
            log.add("ok", "padding.none", "no padding found")


def _tokens(loaded: LoadedTask, spec: StudySpec, space: RecipeSpace, batch: Any) -> Tokens:
    n = batch_size(batch)
    tokens = {
        f"the tokens of the {network}'s `{x.path}`": (x.path, [n, *x.positions])
        for network, layers in (("student", space.student), ("teacher", space.teacher))
        for x in layers
        if x.kind == "tokens"
    }
    with torch.no_grad():
        outputs = matched_outputs(loaded.task, forward_in(spec.train.precision, loaded)(loaded.teacher, batch))
    if outputs is not None and outputs.ndim == 3:  # the two rows of question answering are no tokens
        shape = [n, outputs.shape[1]]
        if not tokens or any(shape == other for _, other in tokens.values()):
            tokens["the outputs"] = (OUTPUTS, shape)
    return tokens


def _check_masks(log: FindingLog, masks: Masks, tokens: Tokens) -> None:
    named = masks if isinstance(masks, Mapping) else {"*": masks}
    if problem := next(_problems(named, tokens), ""):
        log.add("error", "padding.mask_shape", problem)
        return
    share = float(torch.cat([~mask.flatten() for mask in named.values() if mask is not None]).float().mean())
    log.add("ok", "padding.masked", f"{share:.0%} of the positions are padding: masked")
    for what, (path, shape) in tokens.items():
        mask = mask_for(masks, path)
        if share and (mask is None or list(mask.shape) != shape):
            given = "there is no mask" if mask is None else f"the mask {list(mask.shape)} is not"
            problem = f"{given} of {what}: what padding they have teaches like other tokens"
            log.add("warning", "padding.other_positions", f"{problem}; {_WAY_OUT}")
            return


_WAY_OUT = (
    "leave such layers out in `layers` if they have any, or return their own mask as well, by name or glob of the "
    "layers, from `Task.mask(batch)`"
)


def _problems(named: Mapping[str, Tensor | None], tokens: Tokens) -> Iterator[str]:
    """What is wrong with masks that are no bool tensor, of no tokens of the right shape, or for no layer."""
    for pattern, mask in named.items():
        where = f"`mask(batch)` of `{pattern}`" if len(named) > 1 else "`mask(batch)`"
        own = {what: shape for what, (path, shape) in tokens.items() if mask_for(named, path) is mask}
        whose = next(iter(own), "")
        wanted = f"bool {own[whose]} as {whose}" if own else "bool"
        if not isinstance(mask, Tensor):
            yield f"{where} must be {wanted}, but got {type(mask).__name__}"
        elif mask.dtype != torch.bool or (own and list(mask.shape) not in own.values()):
            given = f"{where} must be {wanted}, but got {mask.dtype} {list(mask.shape)}"
            yield f"{given}; return that from `Task.mask(batch)`, or None where nothing is padded"


def _unlabelled_ends(loaded: LoadedTask, batch: Any) -> float:
    """The share of positions that end a sequence of labels `[B, L]` with -100, to different lengths.

    None where labels are missing in between too: these are masked tokens to predict, not padding.
    """
    labels = integer_labels(loaded.task, batch)
    if labels is None or labels.ndim != 2:
        return 0.0
    ends = (labels == UNLABELLED).flip(1).long().cumprod(1).flip(1)  # [B, L]
    if bool(((labels == UNLABELLED) & (ends == 0)).any()):
        return 0.0
    lengths = ends.sum(1)  # [B]
    lengths = lengths[lengths < labels.shape[1]]  # a wholly unlabelled sequence is not padding
    return float(lengths.sum() / labels.numel()) if len(lengths) and lengths.min() < lengths.max() else 0.0
