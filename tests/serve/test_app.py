"""The OpenAPI document, held against what the service really answers; and that it asks nobody else."""

import shutil
import subprocess
import sys

import pytest


def test_every_call_is_described_with_its_errors(service):
    document = service.call("GET", "/openapi.json").json
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            assert {"401", "404", "421", "422"} <= set(call["responses"]), (method, path)
            assert call["responses"]["404"]["content"]["application/json"]["schema"]["$ref"].endswith("ErrorBody")
            assert call["description"], (method, path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("methods", [("GET",), ("POST",), ("PATCH", "DELETE")])  # one renames what others ask for
def test_no_request_finds_an_unexpected_error_or_an_answer_that_is_not_described(start, finished, tmp_path, methods):
    shutil.copy(finished[0].parent / "study.db", tmp_path)  # some of the requests act
    (tmp_path / "studies").mkdir()
    (tmp_path / "schemathesis.toml").write_text('[parameters]\n"path.name" = "tiny"\n')
    service = start("--storage", f"sqlite:///{tmp_path / 'study.db'}", "--studies", tmp_path / "studies")
    assert service.call("GET", "/openapi.json").status == 200  # made when it is first asked for, which takes a while
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{service.port}/api/v1/openapi.json",
        "--header", f"Authorization: Bearer {service.act}", "--exclude-path-regex", "stream",
        *(part for method in methods for part in ("--include-method", method)),
        "--phases", "coverage,fuzzing", "--max-examples", "20", "--seed", "1", "--no-color", "--request-timeout", "120",
        "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert service.call("GET", "/health").status == 200


WITHOUT_A_NETWORK = """
import os, sys
HERE = (None, "127.0.0.1", "::1")
def hook(event, arguments):
    asks_a_name = event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
    connects = event == "socket.connect" and isinstance(arguments[1], tuple)
    if (asks_a_name and arguments[0] not in HERE) or (connects and arguments[1][0] not in HERE):
        os._exit(99)
sys.addaudithook(hook)
from mapsearch.cli.main import main
main()
"""


def test_no_request_leaves_the_machine(start, finished):
    service = start("--storage", finished[1], python=["-c", WITHOUT_A_NETWORK])
    for path in ("/studies", "/studies/tiny", "/studies/tiny/exports/torch", "/openapi.json"):
        assert service.call("GET", path).status == 200
    cookie = service.session(service.read)
    for page in ("/", "/studies/tiny", "/studies/tiny/report.html", "/static/app.css"):
        assert service.ask("GET", page, Cookie=cookie).status == 200
    assert service.process.poll() is None


def test_the_hook_of_that_test_sees_what_leaves():
    code = WITHOUT_A_NETWORK.replace(
        "from mapsearch.cli.main import main\nmain()", "import socket; socket.getaddrinfo('a.invalid', 80)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 99
