"""The pairs of networks that are measured: 12-block teachers, 6-block students, random weights, data with classes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

TEACHER_BLOCKS, STUDENT_BLOCKS = 12, 6


@dataclass(frozen=True)
class Pair:
    """Two networks whose layers `block0`, `block1` ... are compared, and the batches that both see."""

    student: nn.Module
    teacher: nn.Module
    batches: list[Tensor]

    @property
    def networks(self) -> tuple[nn.Module, nn.Module]:
        """Student, teacher: the order of every `[S, T]`."""
        return self.student, self.teacher


class Network(nn.Module):
    """A stem, then blocks; its output is the last block's."""

    def __init__(self, stem: nn.Module, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.stem = stem
        self.names = [f"block{i}" for i in range(len(blocks))]
        for name, block in zip(self.names, blocks, strict=True):
            self.add_module(name, block)

    def forward(self, x: Tensor) -> Tensor:
        """`[n, ...]` -> the last block's output."""
        x = self.stem(x)
        for name in self.names:
            x = getattr(self, name)(x)
        return x


class Attention(nn.Module):
    """A pre-norm transformer block of plain modules, `[B, L, D]` -> `[B, L, D]`."""

    def __init__(self, width: int, n_heads: int = 4) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, L, D]` -> `[B, L, D]`."""
        q, k, v = (self._heads(part) for part in self.qkv(self.norms[0](x)).chunk(3, dim=2))
        x = x + self.out(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norms[1](x))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.n_heads, -1)).transpose(1, 2)  # [B, heads, L, D / heads]


class Residual(nn.Module):
    """Two convolutions with a shortcut; `stride` 2 halves the map."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out),
        )  # fmt: skip
        same = n_in == n_out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(n_in, n_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` -> `[B, C', H', W']`."""
        return torch.relu(self.body(x) + self.shortcut(x))


def transformer(width: int, n_blocks: int) -> Network:
    """Pre-norm encoder on `[B, 16, 64]`."""
    return Network(nn.Linear(64, width), [Attention(width) for _ in range(n_blocks)])


def stock_transformer(width: int, n_blocks: int) -> Network:
    """The same out of `nn.TransformerEncoderLayer`, which PyTorch fuses while nothing is hooked to it."""
    layers: list[nn.Module] = [
        nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=0.0, batch_first=True) for _ in range(n_blocks)
    ]
    return Network(nn.Linear(64, width), layers)


def cnn(width: int, n_blocks: int) -> Network:
    """Three stages of `width`, `2 width`, `4 width` channels on `[B, 3, 16, 16]`."""
    blocks: list[nn.Module] = []
    n_in = width
    for stage in range(3):
        for i in range(n_blocks // 3):
            blocks.append(Residual(n_in, width << stage, stride=2 if stage and not i else 1))
            n_in = width << stage
    return Network(nn.Conv2d(3, width, 3, 1, 1), blocks)


def mlp(width: int, n_blocks: int) -> Network:
    """Layers of one width on `[B, 64]`: forward is nearly free, so that nothing hides the similarity's cost."""
    linears = [nn.Linear(width, width) for _ in range(n_blocks)]
    for linear in linears:
        nn.init.kaiming_normal_(linear.weight)  # with PyTorch's default, deep features are constant to a per cent
    blocks: list[nn.Module] = [nn.Sequential(linear, nn.ReLU()) for linear in linears]
    return Network(nn.Linear(64, width), blocks)


@dataclass(frozen=True)
class Workload:
    """How a pair is made: a network's maker, both widths, the shape of a sample."""

    network: Callable[[int, int], Network]
    teacher_width: int
    student_width: int
    sample: tuple[int, ...]


WORKLOADS = {
    "transformer": Workload(transformer, 256, 128, (16, 64)),
    "cnn": Workload(cnn, 32, 16, (3, 16, 16)),
    "mlp": Workload(mlp, 512, 256, (64,)),
    "stock transformer": Workload(stock_transformer, 256, 128, (16, 64)),
}


def pair_of(name: str, n_samples: int, batch: int, *, shrink: int = 1, seed: int = 0) -> Pair:
    """A workload's networks and data; `shrink` divides the widths, for a smoke test."""
    torch.manual_seed(seed)
    work = WORKLOADS[name]
    teacher = work.network(work.teacher_width // shrink, TEACHER_BLOCKS).eval()
    student = work.network(work.student_width // shrink, STUDENT_BLOCKS).eval()
    classes = torch.randn(10, *work.sample)
    samples = classes[torch.randint(10, (n_samples,))] + torch.randn(n_samples, *work.sample)
    return Pair(student, teacher, list(samples.split(batch)))


@torch.inference_mode()
def forward_only(pair: Pair) -> None:
    """Both networks over all batches: what every cost is compared with."""
    for batch in pair.batches:
        pair.teacher(batch)
        pair.student(batch)
