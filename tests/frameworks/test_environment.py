"""What the environment of the frameworks must give without a test's help."""

import subprocess
import sys


def test_torchvision_and_what_needs_it_can_be_imported():
    code = "import torchvision.models, transformers, torchdistill; from transformers import LlamaConfig; print(1)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["1"], done.stderr
