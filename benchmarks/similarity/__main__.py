"""`python -m benchmarks.similarity`: measures everything and records it with the machine it ran on."""

import argparse
import json
import os
import platform
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TQDM_DISABLE", "1")  # the packages draw progress bars

import torch

import mapsearch
from benchmarks.machine import machine_name
from benchmarks.similarity import capture, costs, hard, memory, packages, page, plots
from benchmarks.similarity.bars import judge
from benchmarks.similarity.workloads import WORKLOADS

NAMES = ("transformer", "cnn", "mlp")
FEW = ("offset 30", "float16", "last batch of 3", "a constant layer", "10,000 tokens, 40 % padding")


def main() -> None:
    """Parse, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.similarity", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: tiny sizes, mapsearch only, seconds")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "recorded", help="folder to write to")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=PARTS, help="measure these again, keep the rest of the record")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.quick:
        packages.PACKAGES.clear()
    sizes = QUICK if chosen.quick else FULL | {"repeats": chosen.repeats}
    chosen.out.mkdir(parents=True, exist_ok=True)
    file = _record_file(chosen.out)
    results: dict[str, Any] = json.loads(file.read_text()) if chosen.only and file.exists() else {}
    for part in chosen.only or PARTS:
        print(f"measuring: {part}", flush=True)
        results[part] = _plain(PARTS[part](**sizes))
        results[f"{part}, ran with"] = {"load average": round(os.getloadavg()[0], 1), "repeats": sizes["repeats"]}
        file.write_text(json.dumps(_head() | results, indent=1))
    results = _head() | results
    missing = [part for part in PARTS if part not in results]
    if missing:
        print(f"no page before these are measured too: {', '.join(missing)}")
        return
    results["bars"] = [asdict(bar) | {"verdict": bar.verdict} for bar in judge(results)]
    file.write_text(json.dumps(results, indent=1))
    plots.draw(results, file.with_suffix(".png"))
    file.with_suffix(".md").write_text(page.page(results, file.stem))
    print(f"written: {file.with_suffix('.md')}")


def _hard(n: int, batch: int, few: bool) -> dict[str, hard.Hard]:
    inputs = hard.hard_inputs(n, batch)
    return {name: inputs[name] for name in FEW} if few else inputs


def _errors(n: int, batch: int, few: bool, **rest: Any) -> dict[str, Any]:
    found = hard.errors(_hard(n, batch, few), batch)
    return {
        "list": {name: row for name, row in found.items() if name not in hard.BEYOND},
        "beyond": {name: row for name, row in found.items() if name in hard.BEYOND},
    }


PARTS: dict[str, Any] = {
    "errors": _errors,
    "identical": lambda n, batch, few, **rest: hard.identical(_hard(n, batch, few), batch),
    "bias": lambda seeds, shapes, **rest: hard.bias(seeds, shapes),
    "alone": lambda n, batch, repeats, shrink, **rest: {
        name: costs.alone(name, n, batch, repeats, shrink) for name in rest["works"]
    },
    "capture": lambda n, batch, repeats, shrink, **rest: capture.capture(n // 4, batch, 2 * repeats, shrink),
    "by_layers": lambda batch, repeats, **rest: costs.by_layers(rest["layers"], batch, rest["n_batches"], repeats),
    "by_samples": lambda batch, repeats, **rest: costs.by_samples(rest["samples"], batch, repeats),
    "memory": lambda batch, shrink, **rest: {w: memory.peaks(w, 3 * batch, batch, shrink) for w in rest["remembered"]},
    "end to end": lambda n, batch, repeats, shrink, **rest: {
        name: costs.end_to_end(name, n // 2, batch, repeats, shrink) for name in rest["whole"]
    },
}
FULL: dict[str, Any] = {
    "n": 2048, "batch": 256, "shrink": 1, "repeats": 5, "seeds": 10, "shapes": [(256, 512), (256, 4096)],
    "layers": [(4, 2), (12, 6), (24, 12), (48, 24), (96, 48)], "n_batches": 8, "samples": [512, 1024, 2048, 4096, 8192],
    "works": NAMES, "remembered": NAMES, "whole": WORKLOADS, "few": False,
}  # fmt: skip
QUICK: dict[str, Any] = {
    "n": 256, "batch": 64, "shrink": 8, "repeats": 1, "seeds": 2, "shapes": [(128, 64)],
    "layers": [(4, 2)], "n_batches": 2, "samples": [128, 256], "works": ("mlp",),
    "remembered": (), "whole": ("mlp",), "few": True,
}  # fmt: skip


def _record_file(folder: Path) -> Path:
    return folder / f"similarity-{date.today().isoformat()}.json"


def _head() -> dict[str, Any]:
    return {
        "machine": f"{machine_name()}; one thread, process CPU time",
        "date": date.today().isoformat(),
        "versions": {
            "mapsearch": mapsearch.__version__, "torch": version("torch"), "python": platform.python_version(),
        } | packages.installed(),
    }  # fmt: skip


def _plain(found: Any) -> Any:
    """Dataclasses as dicts, all the way down."""
    if isinstance(found, dict):
        return {str(key): _plain(value) for key, value in found.items()}
    return asdict(found) if hasattr(found, "__dataclass_fields__") else found


if __name__ == "__main__":
    main()
