"""A Ray cluster that a study runs on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RayCluster:
    """Where its workers live and how many share a GPU.

    `address` is `auto` or `host:port` of a cluster that is up; None starts one on this machine for as long as the
    study runs. `per_gpu` workers share each GPU: Ray counts them, but does not divide the GPU's memory.
    """

    address: str | None = None
    per_gpu: int = 1
