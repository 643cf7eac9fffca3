"""Layer names, metric names and errors of a task may hold anything; what people see of them is plain text."""

import json
import sys
import unicodedata
from contextlib import suppress

import pytest

from mapsearch.cli.main import main

HOSTILE = "=cmd\x1b[2J\x9b1m\u202e\n[bold]$x$"
SHOWN = r"=cmd\x1b[2J\x9b1m\u202e\n[bold]$x$"
TASK = f"""

HOSTILE = {HOSTILE!r}


class HostileNet(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.stem, self.head, self.names = nn.Linear(8, width), nn.Linear(width, 3), []
        for i in range(depth):
            self.add_module(f"{{HOSTILE}}{{i}}", Block(width))

    def forward(self, x):
        x = self.stem(x)
        for name, module in self.named_children():
            x = module(x) if name.startswith(HOSTILE) else x
        return self.head(x)


class HostileTask(Clusters):
    def student(self):
        return HostileNet(8, 2)

    def metrics(self, output, batch):
        metrics = super().metrics(output, batch)
        return {{**metrics, HOSTILE: metrics["accuracy"]}}


class Raising(HostileTask):
    def student(self):
        raise ValueError(HOSTILE)

"""


@pytest.fixture
def study(write_study):
    """`study(task)` -> study.yaml of that hostile task."""

    def write(task="HostileTask", **changes):
        file = write_study(
            task=f"task.py:{task}", metric=HOSTILE, direction="maximize", confirm={"seeds": 2}, **changes
        )
        with (file.parent / "task.py").open("a") as text:
            text.write(TASK)
        return file

    return write


@pytest.fixture
def seen(capsys, monkeypatch, tmp_path):
    """`seen(*arguments)` -> what `mapsearch ...` printed; nothing in it can steer a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "250")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mapsearch", *map(str, arguments)])
        capsys.readouterr()
        with suppress(SystemExit):
            main()
        out, err = capsys.readouterr()
        steering = [x for x in out + err if unicodedata.category(x) in ("Cc", "Cf", "Zl", "Zp") and x != "\n"]
        assert not steering, steering
        return out, err

    return run


def test_of_a_whole_study(study, seen, url):
    file = study()
    storage = ("--storage", url)
    assert SHOWN in seen("layers", file)[0]
    assert SHOWN in seen("check", file)[0]
    listed = json.loads(seen("layers", file, "--json")[0])
    assert f"{HOSTILE}0" in {layer["path"] for layer in listed["student"]}
    assert SHOWN in "".join(seen("run", file, "--inline", *storage))
    assert SHOWN in seen("show", "tiny", *storage)[0]
    shown = json.loads(seen("show", "tiny", "--json", *storage)[0])
    assert shown["metric"] == HOSTILE
    seen("studies", *storage)
    assert f"'{SHOWN}0" in seen("similarity", file, "--csv")[0]
    assert SHOWN in seen("similarity", file, "--plot", "x.svg")[0]


@pytest.mark.parametrize("command", ["check", "layers"])
def test_of_an_error_in_the_users_code(study, seen, command):
    out, err = seen(command, study("Raising"))
    assert r"\x1b" in out + err
