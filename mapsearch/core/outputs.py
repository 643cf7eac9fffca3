"""What a task's outputs are to each other, and which output losses fit them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mapsearch.core.recipe import OutputLossName

OutputKind = Literal["classes", "labels", "values", "embedding", "none"]
"""`classes` exclude each other; `labels` are independent, each yes or no; `values` are real numbers with a target each;
an `embedding` is a vector whose direction counts; `none` is matched by features alone."""

OUTPUT_LOSS_KINDS: dict[OutputLossName, tuple[OutputKind, ...]] = {
    "kl": ("classes",),
    "dkd": ("classes",),
    "standardised_kl": ("classes",),
    "binary_kl": ("labels",),
    "mse": ("classes", "labels", "values", "embedding"),
    "huber": ("values",),
    "cosine": ("embedding",),
    "relational": ("embedding",),
}
"""What each output loss can match."""

TRIED_OUTPUT_LOSSES: dict[OutputKind, tuple[OutputLossName, ...]] = {
    "classes": ("kl", "dkd"),
    "labels": ("binary_kl",),
    "values": ("mse", "huber"),
    "embedding": ("cosine", "relational"),
    "none": (),
}
"""What a study tries that does not say."""

USES_TEMPERATURE: frozenset[OutputLossName] = frozenset({"kl", "dkd", "standardised_kl", "binary_kl"})
WORKS_ACROSS_WIDTHS: frozenset[OutputLossName] = frozenset({"relational"})


@dataclass(frozen=True)
class Outputs:
    """How a task's outputs are read: decided once, on real batches, and kept with the study.

    Attributes:
        class_axis: the axis of `Task.outputs(output)` on which the classes are, or the values of each pixel of images.
        from_decoder: whether they are those of a decoder, whose tokens are others than those that an encoder read.
        ignored: the label that the model takes for none, beside -100.
        windows: kernel and stride of each convolution that makes tokens of the samples of a sound.
        per_token: whether each token has one value or one yes or no, `[B, L]` without an axis of their own.
        next_token: labels `[B, L]` are the inputs, and the output at a position is held against the label at the next.
        mean, sd: of each of the teacher's values on training samples, by which both networks' values are standardised.
        same_width: whether student and teacher output as many numbers; embeddings may differ.
        has_loss: whether the task has a loss of its own, beside what the teacher teaches.
        why: what decided it, for people.
    """

    kind: OutputKind = "classes"
    class_axis: int = -1
    from_decoder: bool = False
    ignored: int | None = None
    windows: tuple[tuple[int, int], ...] = ()
    per_token: bool = False
    next_token: bool = False
    mean: tuple[float, ...] = ()
    sd: tuple[float, ...] = ()
    same_width: bool = True
    has_loss: bool = True
    why: str = ""

    @property
    def form(self) -> str:
        """What is done to both networks' outputs before the output loss; empty where nothing is."""
        parts: list[str] = [] if self.kind == "classes" else [self.kind]
        if self.class_axis != -1:
            moved = "of the network's output; the loss takes them on the last one"
            parts = [f"{self.kind} are on axis {self.class_axis} {moved}"]
        if self.per_token:
            parts = [f"{self.kind}, one for each token; the loss takes them on an axis of one behind the tokens"]
        if self.sd:
            mean, sd = (", ".join(f"{x:.6g}" for x in numbers) for numbers in (self.mean, self.sd))
            parts.append(f"the loss takes (output - mean) / sd of both networks, with mean {mean} and sd {sd}")
        return "; ".join(parts)

    @property
    def losses(self) -> tuple[OutputLossName, ...]:
        """The output losses that a study tries where it names none."""
        return tuple(loss for loss in TRIED_OUTPUT_LOSSES[self.kind] if not self.problem(loss))

    def problem(self, loss: OutputLossName) -> str:
        """Why the loss cannot match these outputs, or the empty string."""
        kinds = OUTPUT_LOSS_KINDS[loss]
        if self.kind not in kinds:
            fitting = ", ".join(name for name, fits in OUTPUT_LOSS_KINDS.items() if self.kind in fits) or "none"
            return f"`{loss}` matches {' or '.join(kinds)}, but the outputs are {self.kind}; these fit: {fitting}"
        if not self.same_width and self.kind != "classes" and loss not in WORKS_ACROSS_WIDTHS:
            return f"`{loss}` needs outputs of one width; across widths use `relational`, or add a layer to the student"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives equal outputs back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Outputs":
        """The outputs that `to_json` wrote."""
        windows = tuple((int(kernel), int(stride)) for kernel, stride in data.get("windows", ()))
        return cls(**{**data, "mean": tuple(data["mean"]), "sd": tuple(data["sd"]), "windows": windows})


CLASS_SCORES = Outputs()
"""What outputs are taken for until they were looked at: classes on the last axis."""
