"""Every command as a user types it: the result on stdout, the rest on stderr, one clear line for every mistake."""

import sys

import pytest

from mapsearch.cli import main as cli


@pytest.fixture
def do(monkeypatch, capsys, tmp_path):
    """`do(*arguments)` -> (exit code, stdout, stderr) of `mapsearch ...` in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAPSEARCH_STORAGE", raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["mapsearch", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as left:
            code = left.code or 0
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def refused(do):
    """`refused(*arguments)` -> the error lines of a command that must end with code 2, no result and no traceback."""

    def run(*arguments):
        code, out, err = do(*arguments)
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        assert (code, out, "Traceback" in err) == (2, "", False), (code, out, err)
        assert lines, err
        return lines

    return run
