import pytest

from mapsearch.core.errors import MapsearchError
from mapsearch.serve.tokens import Tokens, fresh_tokens, tokens_of


def test_a_file_is_written_once_and_readable_by_its_owner_alone(tmp_path):
    file = tmp_path / "tokens"
    tokens = tokens_of(file, read_only=False)
    assert file.stat().st_mode & 0o777 == 0o600
    assert tokens_of(file, read_only=False) == tokens
    assert tokens.role(tokens.act or "") == "act"
    assert tokens.role(tokens.read) == "read"
    assert tokens_of(file, read_only=True) == Tokens(None, tokens.read)


@pytest.mark.parametrize(
    "text", ["", "x" * 30, "short\n" + "x" * 30, ("x" * 30 + "\n") * 2, "a" * 30 + "\nb" * 30, "ä" * 30]
)
def test_a_file_of_another_form_is_refused(tmp_path, text):
    file = tmp_path / "tokens"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(MapsearchError, match=r"tokens.*(two different tokens|plain text)"):
        tokens_of(file, read_only=False)


def test_a_file_that_others_may_read_is_refused(tmp_path):
    file = tmp_path / "tokens"
    tokens_of(file, read_only=False)
    file.chmod(0o644)
    with pytest.raises(MapsearchError, match="chmod 600"):
        tokens_of(file, read_only=False)


def test_nothing_is_allowed_by_an_empty_token_or_another_kind_of_secret():
    tokens = fresh_tokens(read_only=True)
    for given in ("", "None", tokens.session("read")):
        assert tokens.role(given) is None
    assert tokens.role_of_session("") is None
    assert tokens.role_of_session(tokens.read) is None
    assert tokens.role_of_session(tokens.session("read")) == "read"
