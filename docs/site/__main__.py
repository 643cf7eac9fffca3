"""Stage the pages, write the reference from the code, and let Zensical build `site/`; a warning is an error.

The stage mirrors the repository: a page has the same relative links here and on GitHub, and none is rewritten.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from docs.site import commands, python_api, study_file
from docs.site.pages import PAGES, with_what_they_link

ROOT = Path(__file__).parents[2]
STAGE = ROOT / ".site"
REFERENCE = {"study-file.md": study_file.page, "commands.md": commands.page, "python.md": python_api.page}


def main() -> None:
    """Build the site; leaves with 1 where anything is amiss."""
    shutil.rmtree(STAGE, ignore_errors=True)
    for path in with_what_they_link(ROOT, [ROOT / page for page in PAGES]):
        copy = STAGE / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    (STAGE / "reference").mkdir()
    for name, page in REFERENCE.items():
        (STAGE / "reference" / name).write_text(page(), encoding="utf-8")
    zensical = Path(sys.executable).with_name("zensical")
    build = subprocess.run(
        [zensical, "build", "--strict", "--clean"],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    print(build.stdout)
    sys.exit(build.returncode or "griffe:" in build.stdout)  # a docstring that cannot be read ends no strict build


if __name__ == "__main__":
    main()
