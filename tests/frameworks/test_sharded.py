"""The PyTorch file under FSDP2: student, teacher and projectors sharded over two CPU processes (gloo)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from exports.conftest import Tags
from torch import nn

from mapsearch.exports.frameworks.execute import executed
from mapsearch.exports.write import write

TESTS = Path(__file__).parents[1]
SHARDED = """
import json, sys
from pathlib import Path
import torch
from frameworks.test_sharded import networks, trained
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

mesh = init_device_mesh("cpu", (2,))
student, teacher, loss = networks(Path(sys.argv[1]))
for layer in (*student.layers, student, *teacher.layers, teacher, loss):
    fully_shard(layer, mesh=mesh)
assert all(p.to_local().numel() < p.numel() for p in student.layers.parameters())
told = trained(student, teacher, loss)
if mesh.get_rank() == 0:
    print(json.dumps(told))
torch.distributed.destroy_process_group()
"""


def networks(path):
    torch.manual_seed(0)
    student, teacher = Tags().student(), Tags().teacher().requires_grad_(False)
    return student, teacher, executed(path)["DistillationLoss"](student, teacher)


def trained(student, teacher, loss):
    """The losses of some steps, all on one batch, and the norms of their gradients."""
    batch, told = torch.utils.data.default_collate(Tags().train_data()[:8]), []
    labels, mask = batch.pop("labels"), batch["attention_mask"].bool()
    parameters = [*student.parameters(), *loss.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=0.01)
    for step in range(4):
        taught, logits = teacher(**batch)["logits"], student(**batch)["logits"]
        task_loss = nn.functional.cross_entropy(logits.mT, labels)
        total = loss(task_loss, logits, taught, mask=mask, progress=step / 8)
        total.backward()
        norm = nn.utils.clip_grad_norm_(parameters, 1.0)
        told.append([float(total), float(getattr(norm, "full_tensor", lambda norm=norm: norm)())])
        optimizer.step()
        optimizer.zero_grad()
    return told


def test_two_processes_that_hold_a_half_each_train_as_one_that_holds_all(distilled, tmp_path):
    path = tmp_path / "distillation.py"
    write("torch", distilled("tags").source, path)
    alone = trained(*networks(path))
    (tmp_path / "sharded.py").write_text(SHARDED)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", tmp_path / "sharded.py", path]
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, command)], env=environment, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    for here, there in zip(alone, json.loads(done.stdout), strict=True):
        assert there == pytest.approx(here, rel=1e-4)
