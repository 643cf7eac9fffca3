"""Make a torchvision of CUDA importable beside a torch for CPUs; `make` runs it once, in the environment it has made.

The registry has torchvision for CUDA only, whose compiled operators a torch for CPUs cannot load; its own Python code
then asks for two of them by name and fails. They are declared here, without a body, at the end of the module that
would have loaded them. Whoever installs torch and torchvision of one kind needs none of this.
"""

from importlib.util import find_spec
from pathlib import Path

MARK = "# declared by tests/frameworks/mend_torchvision.py"
DECLARED = f"""

{MARK}
if not _has_ops() and torch.version.cuda is None:
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for _name in ("nms", "qnms"):
        _library.define(f"{{_name}}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def mend(extension: Path) -> None:
    """Append the declarations to torchvision's module `extension`, once."""
    text = extension.read_text(encoding="utf-8")
    if MARK not in text:
        extension.write_text(text + DECLARED, encoding="utf-8")


if __name__ == "__main__":
    found = find_spec("torchvision")
    assert found is not None
    assert found.origin is not None
    mend(Path(found.origin).with_name("extension.py"))
