"""The record as a page: tables in Markdown, every verdict computed."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any


def page(results: dict[str, Any], stem: str) -> str:
    """The whole page."""
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    loads = ", ".join(
        f"{name.removesuffix(', ran with')} {row['load average']}"
        for name, row in results.items()
        if "ran with" in name
    )
    parts = [
        f"# Layer similarity, measured {results['date']}",
        f"Made by `python -m benchmarks.similarity`. Machine: {results['machine']}. "
        f"Load average after each part: {loads}. Versions: {versions}. Networks have random weights; no GPU was used.",
        "## Bars", _bars(results["bars"]),
        "## Similarity work alone, over forward-only time",
        ALONE, _spreads(results["alone"], "{:.1%}"),
        "## End to end, over forward-only time",
        END_TO_END, _spreads(results["end to end"], "{:.2f}"),
        "## Seeing the layers of `nn.TransformerEncoderLayer`, over not seeing them",
        _spreads({"ratio": results["capture"]}, "{:.3f}"),
        "## Milliseconds per batch, layers of width 512",
        _spreads(results["by_layers"], "{:.1f}"),
        f"![cost by samples and by layers]({stem}.png)",
        "## Largest error against float64",
        ERRORS, _values(results["errors"]["list"]),
        "Beyond that list (no bar):", _values(results["errors"]["beyond"]),
        "## Identical networks: largest distance of the diagonal from 1",
        _values({"diagonal": results["identical"]}, turned=True),
        "## Unrelated features: mean over seeds (smallest .. largest)",
        _bias(results["bias"]),
        "## Peak memory beyond forward passes, MiB",
        MEMORY, _values(results["memory"], form="{:.0f}", turned=True),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


ALONE = (
    "Layer outputs replayed from memory, so that the clock holds similarity work only; interleaved, median of the "
    "repeats (smallest .. largest). `forward only, again` is the null row: what it differs from 100 % by is noise, and "
    "the same noise is in every row. `compare` is timed whole; `sums alone` leaves out its listing of layers, "
    "`values alone` standard errors, noise floors and the watch over float32's range, "
    "`products alone` all but the Gram matrices. "
    "Blocks of 64 are a noisier estimator than blocks of the batch, and pooled features another quantity: only "
    "`blocks of the batch` does the same work as the packages, which flatten."
)
END_TO_END = (
    "On the networks themselves, 1,024 samples. `compare` runs one more forward pass, of eight samples, to list the "
    "layers. A ratio under 1 is noise, never a gain; differences under 10 % are not resolved."
)
ERRORS = (
    "Each against a float64 computation of its own estimator on the same features: mapsearch weighs blocks by samples, "
    "packages weigh batches equally. In the row of tokens the packages, which know no masks, get padding as well. "
    "ckatorch compares the tokens of one sample and keeps the last batch only: it is given batches as such a sample "
    "and judged on the last. 0 is right for a constant layer."
)
MEMORY = (
    "High-water mark of the resident set less that of forward passes alone, each in a process of its own, end to end. "
    "torch-cka leaves `no_grad` to its caller, and keeps every graph without."
)


def _bars(bars: list[dict[str, Any]]) -> str:
    rows = [[bar["what"], _number(bar["limit"]), _number(bar["measured"]), bar["unit"], bar["verdict"]] for bar in bars]
    return _table(["bar", "at most", "measured", "", ""], rows)


def _spreads(columns: dict[str, dict[str, Any]], form: str) -> str:
    def cell(found: Any) -> str:
        if not isinstance(found, dict):
            return found or "-"
        middle, *ends = (form.format(found[key]) for key in ("median", "low", "high"))
        return f"{middle} ({ends[0]} .. {ends[1]})"

    names = dict.fromkeys(name for rows in columns.values() for name in rows)
    body = [[name, *(cell(rows.get(name)) for rows in columns.values())] for name in names]
    return _table(["", *columns], body)


def _values(rows: dict[str, dict[str, Any]], form: str = "{:.0e}", turned: bool = False) -> str:
    if turned:
        rows = {who: {name: row[who] for name, row in rows.items() if who in row} for who in _keys(rows.values())}
    names = _keys(rows.values())
    body = [[name, *(_cell(row.get(who), form) for who in names)] for name, row in rows.items()]
    return _table(["", *names], body) if body else ""


def _bias(rows: dict[str, dict[str, list[float]]]) -> str:
    names = _keys(rows.values())
    body = [
        [name, *(f"{fmean(row[who]):.3f} ({min(row[who]):.3f} .. {max(row[who]):.3f})" for who in names)]
        for name, row in rows.items()
    ]
    return _table(["", *names], body)


def _keys(rows: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _cell(value: Any, form: str) -> str:
    return form.format(value) if isinstance(value, float) else str(value or "-")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if abs(value) < 10 else f"{value:.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
