import socket

import pytest

from mapsearch.core.errors import MapsearchError
from mapsearch.serve.server import Options, serve

STORAGE = "sqlite:///none.db"


def test_another_address_needs_tokens_of_ones_own():
    with pytest.raises(MapsearchError, match=r"--host 0\.0\.0\.0.*--token-file"):
        serve(Options(STORAGE, host="0.0.0.0"), print)


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MapsearchError, match=rf"--port {port}: cannot be used.*another --port"):
            serve(Options(STORAGE, port=port), print)


def test_study_folders_must_be_in_a_folder(tmp_path):
    with pytest.raises(MapsearchError, match=r"--studies .*/nothing.*must be a folder"):
        serve(Options(STORAGE, studies=tmp_path / "nothing"), print)
