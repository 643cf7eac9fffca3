"""What is told of a file that was edited: its lines, not its layout and comments."""

import pytest

from mapsearch.exports.frameworks.edits import edited_lines

WRITTEN = '''# SPDX-License-Identifier: Apache-2.0
"""A script.

study: digits
"""

import torch

LR = 0.002  # of the student
N_STEPS = 300
'''


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("LR = 0.002", "LR = 0.02", ("x.py has `LR = 0.02` where an export has `LR = 0.002`",)),
        ("N_STEPS = 300\n", "", ("x.py has nothing where an export has `N_STEPS = 300`",)),
        ("import torch\n", "import torch\nimport os\n", ("x.py has `import os` where an export has nothing",)),
        ("# of the student", "# ours", ()),
        ("study: digits", "study: mine", ()),
        ("N_STEPS = 300", "\n\nN_STEPS =   300", ()),
    ],
)
def test_the_lines_that_differ_are_told(old, new, told, tmp_path):
    (tmp_path / "x.py").write_text(WRITTEN.replace(old, new))
    assert edited_lines({tmp_path / "x.py": WRITTEN}) == told


def test_many_edits_are_counted_and_a_missing_file_is_one(tmp_path):
    lines = [f"a{number}: {number}" for number in range(20)]
    edited = [line.replace(": ", ": 1") if number % 2 else line for number, line in enumerate(lines)]
    (tmp_path / "x.yaml").write_text("\n".join(edited))
    told = edited_lines({tmp_path / "x.yaml": "\n".join(lines)})
    assert told[0] == "x.yaml has `a1: 11` where an export has `a1: 1`"
    assert (len(told), told[-1]) == (4, "7 more places differ")
    assert edited_lines({tmp_path / "gone.yaml": "a: 1"}) == ("gone.yaml has nothing where an export has `a: 1`",)
