"""The client against a real service, and the reading commands through it."""

import json
import sys

import pytest

from mapsearch.api import queries
from mapsearch.cli import main as cli
from mapsearch.client import Client
from mapsearch.core.errors import MapsearchError


@pytest.fixture
def link(service):
    return f"http://127.0.0.1:{service.port}/?token={service.read}"


def test_the_client_tells_what_the_database_holds(link, finished, tmp_path):
    client, shown = Client(link), queries.show("tiny", finished[1])
    assert [study["name"] for study in client.studies()] == ["tiny"]
    assert client.show("tiny") == json.loads(json.dumps(shown))
    assert list(client.trials("tiny")) == json.loads(json.dumps(shown["trials"]))
    assert len(list(client.runs("tiny"))) == shown["n_runs"]
    file = client.export("tiny", "torch", tmp_path / "distill.py")
    compile(file.read_text(), "distill.py", "exec")
    with pytest.raises(MapsearchError, match=r"distill\.py cannot be written"):
        client.export("tiny", "torch", file)


def test_what_the_service_refuses_is_told_in_its_words(link, service):
    for act in (lambda client: client.stop("tiny"), lambda client: client.delete("tiny")):
        with pytest.raises(MapsearchError, match="this token only reads"):
            act(Client(link))
    with pytest.raises(MapsearchError, match="did you mean `tiny`"):
        Client(link).show("tinny")
    with pytest.raises(MapsearchError, match="token"):
        Client(f"http://127.0.0.1:{service.port}").studies()


def test_what_is_no_service_is_told(service):
    with pytest.raises(MapsearchError, match=r"http://127\.0\.0\.1:1: the service cannot be reached"):
        Client("http://127.0.0.1:1").studies()
    with pytest.raises(MapsearchError, match="http://HOST:PORT"):
        Client("ftp://somewhere/")


def test_the_client_asks_for_trainings_and_ports(start, finished, tmp_path, eventually):
    service = start("--storage", finished[1], "--studies", finished[0].parent.parent, "--data", tmp_path / "data")
    client = Client(f"http://127.0.0.1:{service.port}", service.act)
    training = client.train("tiny", steps=100_000)
    assert [known["id"] for known in client.trainings("tiny")] == [training["id"]]
    client.stop_training(training["id"])
    eventually(lambda: client.training(training["id"])["state"] == "stopped", seconds=200)
    with pytest.raises(MapsearchError, match=r"has no file `student\.safetensors`"):
        client.download(training["id"], "student.safetensors", tmp_path / "weights")
    for act in (lambda: client.port("tiny", "none"), lambda: client.train("tiny", trial=9999)):
        with pytest.raises(MapsearchError, match=r"no study folder `none`|9999"):
            act()
    assert client.remove_training(training["id"])["study"] == "tiny"
    assert client.trainings() == []


@pytest.mark.parametrize(
    "command",
    [
        ["studies"],
        ["studies", "--json"],
        ["show", "tiny"],
        ["show", "tiny", "--json"],
        ["show", "tiny", "--json", "--limit", "3"],
    ],
)
def test_reading_commands_say_the_same_over_http(link, finished, monkeypatch, capsys, command):
    said = []
    for source in (["--storage", finished[1]], ["--url", link]):
        monkeypatch.setattr(sys, "argv", ["mapsearch", *command, *source])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said.append((left.value.code, capsys.readouterr().out))
    assert said[0] == said[1]
    assert not said[0][0]
