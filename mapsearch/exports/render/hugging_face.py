"""Module paths of Hugging Face language models -> what part of the network they name."""

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Part:
    """One part of a language model: its embeddings, the layer of an index, or the norm after the last layer.

    `final_norm` says whether the network has such a norm, whose output then is its last hidden state: the
    output of the last layer itself is not among the hidden states. `decoder` says whether it is one of the
    pre-norm decoders (Llama, GPT-2), whose layers other trainers have under other names.
    """

    name: Literal["embeddings", "layer", "norm"]
    index: int
    final_norm: bool
    decoder: bool


@dataclass(frozen=True)
class _Family:
    """The paths, as regular expressions, that a family of networks goes by; with and without its head."""

    embeddings: str
    layer: str
    norm: str | None
    decoder: bool


_FAMILIES = (
    # Llama, Mistral, Qwen, Phi-3, OLMo
    _Family(r"(model\.)?embed_tokens", r"(model\.)?layers\.(?P<index>\d{1,9})", r"(model\.)?norm", decoder=True),
    # GPT-2; its first hidden state is the output of the dropout after both embeddings
    _Family(r"(transformer\.)?drop", r"(transformer\.)?h\.(?P<index>\d{1,9})", r"(transformer\.)?ln_f", decoder=True),
    # BERT, RoBERTa, ELECTRA; the last layer's output is normalised by the layer itself
    _Family(r"((bert|roberta)\.)?embeddings", r"(\w+\.)?encoder\.layer\.(?P<index>\d{1,9})", None, decoder=False),
)


def part_of(path: str) -> Part | None:
    """The part of a language model that goes by this path; None if it names something else."""
    for family in _FAMILIES:
        has_norm = family.norm is not None
        if match := re.fullmatch(family.layer, path, re.ASCII):
            return Part("layer", int(match["index"]), has_norm, family.decoder)
        if re.fullmatch(family.embeddings, path, re.ASCII):
            return Part("embeddings", 0, has_norm, family.decoder)
        if family.norm is not None and re.fullmatch(family.norm, path, re.ASCII):
            return Part("norm", 0, has_norm, family.decoder)
    return None


def megatron_path(path: str) -> str | None:
    """What Megatron calls a module of a Hugging Face decoder; None if it has no such module."""
    layer, dot, norm = path.partition(".input_layernorm")
    part = part_of(layer)
    if part is None or not part.decoder or norm or (dot and part.name != "layer"):
        return None
    names = {"embeddings": "embedding", "layer": f"decoder.layers.{part.index}", "norm": "decoder.final_layernorm"}
    return names[part.name] + dot
