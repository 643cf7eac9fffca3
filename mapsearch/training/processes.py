"""The processes that train one student together, each on its part of every batch."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer


class Processes:
    """What a training asks of its processes: here there is one. All of them ask the same, in the same order.

    `rank` is this process's number among `n`; the first one writes. Where it `shards`, each holds a part of every
    weight that was given to `shard`.
    """

    rank, n, shards = 0, 1, False

    def mean(self, values: Tensor) -> Tensor:
        """The mean of the values that the processes have."""
        return values

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give every process the mean gradient of all; one that nobody has stays None."""

    def clip_gradients(self, parameters: Sequence[nn.Parameter], max_norm: float) -> Tensor:
        """Clip the gradients to a norm; the norm that they had."""
        return clip_grad_norm_(parameters, max_norm)

    def is_any(self, here: bool) -> bool:
        """Whether it is so in some process."""
        return here

    def shard(self, network: nn.Module) -> None:
        """Leave each process its part of the weights, if that is how they train; the network has new parameters then.

        From then on all of them call the network together.
        """

    def whole(self, state: Any) -> Any:
        """A state, however deep in dicts and lists, whose tensors are whole."""
        return state

    def load(self, target: nn.Module | Optimizer, state: dict[str, Any]) -> None:
        """`load_state_dict` of whole tensors."""
        target.load_state_dict(state)


ALONE = Processes()
