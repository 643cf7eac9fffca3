"""The table in `docs/exports.md` is what the targets' records say; `python tests/exports/test_docs.py` writes it."""

from pathlib import Path

from mapsearch.exports.targets import TARGETS

DOCS = Path(__file__).parents[2] / "docs" / "exports.md"
REQUIREMENTS = Path(__file__).parents[1] / "frameworks" / "requirements.txt"
START, END = "<!-- targets -->\n", "<!-- end of targets -->\n"


def table() -> str:
    header = ["target", "writes", "cannot express"]
    rows = [header, ["---"] * len(header)]
    for name, target in TARGETS.items():
        rows.append([f"`{name}`", target.about, "; ".join(limit.about for limit in target.limits) or "-"])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def test_the_table_is_what_the_records_say():
    _, _, rest = DOCS.read_text(encoding="utf-8").partition(START)
    assert rest.partition(END)[0] == table(), "python tests/exports/test_docs.py writes it anew"


def test_every_framework_is_named_with_its_install_line():
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    for name, target in TARGETS.items():
        told = [line for line in lines if line.startswith(f"| `{name}` | `pip install")]
        assert told == ([f"| `{name}` | `{target.install}` |"] if target.requires else []), name


def test_what_is_installed_is_what_was_tested():
    tested = {line.partition("#")[0].strip() for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines()}
    told = {package for target in TARGETS.values() for package in target.requires.values()}
    assert told <= tested
    assert all("==" in package for package in told)


if __name__ == "__main__":
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(START)
    DOCS.write_text(f"{before}{START}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")
