"""The table in `docs/exports.md` is what the targets' records say; `python tests/exports/test_docs.py` writes it."""

from dataclasses import fields
from pathlib import Path

from mapsearch.exports.capability import EVERYTHING, Capability
from mapsearch.exports.targets import TARGETS

DOCS = Path(__file__).parents[2] / "docs" / "exports.md"
START, END = "<!-- targets -->\n", "<!-- end of targets -->\n"
COLUMNS = {
    "feature losses": "losses",
    "output losses": "output_losses",
    "projectors": "projectors",
    "many-to-one": "many_to_one",
    "weights": "weights",
    "projectors are": "projector",
}
FLAGS = {
    "temperature": "a temperature",
    "anneal": "fading",
    "task_weight": "a weight of the task's loss",
    "masks": "masks of padding",
    "addresses": "one call of a module (`path#k`) or one entry of its output (`path[key]`)",
}


def names(value: object, everything: object) -> str:
    if not isinstance(value, frozenset):
        return str(value)
    return "all" if value == everything else ", ".join(sorted(value)) or "none"


def limits(capability: Capability) -> str:
    """What the columns do not say."""
    found = [what for field, what in FLAGS.items() if not getattr(capability, field)]
    for field in ("aggregations", "balances", "kinds"):
        lacks = sorted(getattr(EVERYTHING, field) - getattr(capability, field))
        found += [f"{field}: {', '.join(lacks)}"] if lacks else []
    found += ["layers by path: they are named by index"] if capability.names == "index" else []
    found += ["outputs other than `logits`"] if capability.outputs == "logits" else []
    return "; ".join(found) or "-"


def table() -> str:
    header = ["target", "writes", *COLUMNS, "cannot express"]
    rows = [header, ["---"] * len(header)]
    for name, target in TARGETS.items():
        cells = [names(getattr(target.capability, x), getattr(EVERYTHING, x)) for x in COLUMNS.values()]
        rows.append([f"`{name}`", target.about, *cells, limits(target.capability)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def test_every_field_of_a_capability_stands_in_the_table():
    told = {*COLUMNS.values(), *FLAGS, "aggregations", "balances", "kinds", "names", "outputs"}
    assert told == {field.name for field in fields(Capability)}


def test_the_table_is_what_the_records_say():
    _, _, rest = DOCS.read_text(encoding="utf-8").partition(START)
    assert rest.partition(END)[0] == table(), "python tests/exports/test_docs.py writes it anew"


def test_every_framework_is_named_with_its_install_line():
    text = DOCS.read_text(encoding="utf-8")
    assert all(target.install in text for target in TARGETS.values())


if __name__ == "__main__":
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(START)
    DOCS.write_text(f"{before}{START}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")
