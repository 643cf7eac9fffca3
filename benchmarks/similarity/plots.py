"""Cost against the number of samples and of layers, as one picture."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.similarity.costs import EQUAL, SMALL

LOOKS = {  # Okabe and Ito's colours, told apart by marker and dash as well
    SMALL: ("#0072B2", "o", "-"),
    EQUAL: ("#56B4E9", "s", "--"),
    "pytorch-cka": ("#D55E00", "^", "-"),
    "cka-pytorch": ("#CC79A7", "D", ":"),
    "torch-cka": ("#000000", "v", "-."),
}


def draw(results: dict[str, Any], file: Path) -> None:
    """Write the picture."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    _by_samples(left, results["by_samples"])
    _by_layers(right, results["by_layers"])
    figure.suptitle(f"Similarity work alone, layers of width 512, batches of 256, one thread ({results['date']})")
    figure.savefig(file, dpi=150)
    plt.close(figure)


def _by_samples(axes: Axes, rows: dict[str, dict[str, float]]) -> None:
    counts, seconds = [int(n) for n in rows], [row["median"] for row in rows.values()]
    color, marker, _ = LOOKS[SMALL]
    slope = seconds[-1] / counts[-1]
    axes.plot([0, counts[-1]], [0, seconds[-1]], color="#999999", lw=1, ls="--", label="proportional")
    errors = [
        [row["median"] - row["low"] for row in rows.values()],
        [row["high"] - row["median"] for row in rows.values()],
    ]
    axes.errorbar(counts, seconds, errors, color=color, marker=marker, ls="none", capsize=3, label=SMALL)
    axes.set(xlabel="samples", ylabel="CPU seconds", title=f"12 x 6 layers: {1000 * slope:.3f} ms a sample")
    axes.set(xlim=(0, None), ylim=(0, None))
    axes.legend(frameon=False)


def _by_layers(axes: Axes, rows: dict[str, dict[str, Any]]) -> None:
    for who, (color, marker, dash) in LOOKS.items():
        known = [(int(name.split(" x ")[0]), row[who]["median"]) for name, row in rows.items() if who in row]
        if known:
            axes.plot(*zip(*known, strict=True), color=color, marker=marker, ls=dash, label=who)
    axes.set(xscale="log", yscale="log", xlabel="teacher layers (student: half as many)", ylabel="CPU ms per batch")
    axes.set_title("blocks of 64 are a noisier estimate")
    ticks = [int(name.split(" x ")[0]) for name in rows]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8)
