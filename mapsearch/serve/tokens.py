"""Who may do what: one token that acts, one that only reads, and sessions that stand for them in a browser."""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mapsearch.core.errors import MapsearchError

Role = Literal["act", "read"]

SHORTEST_TOKEN = 20
"""Characters of a token that nobody guesses."""


@dataclass(frozen=True)
class Tokens:
    """The secrets of one service. A session is derived from its token, so that it outlives a restart and nothing else.

    Args:
        act: None where the service is read-only: then nothing that is given acts.
    """

    act: str | None
    read: str

    def role(self, token: str) -> Role | None:
        """What a token allows, in a time that tells nothing of the secrets."""
        return self._matching(token, {"act": self.act, "read": self.read})

    def session(self, role: Role) -> str:
        """The cookie of a browser that showed the token of that role."""
        secret = self.act if role == "act" else self.read
        assert secret is not None, "no token of that role was shown"
        return _session(secret)

    def role_of_session(self, session: str) -> Role | None:
        """What a cookie allows."""
        return self._matching(session, {"act": self.act and _session(self.act), "read": _session(self.read)})

    def _matching(self, given: str, secrets_: dict[Role, str | None]) -> Role | None:
        matching: list[Role] = [
            role
            for role, secret in secrets_.items()
            if hmac.compare_digest(given.encode(), (secret or "").encode()) and secret is not None
        ]
        return matching[0] if matching else None


def fresh_tokens(*, read_only: bool) -> Tokens:
    """Random tokens for this start alone."""
    act, read = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    return Tokens(None if read_only else act, read)


def tokens_of(path: Path, *, read_only: bool) -> Tokens:
    """The tokens of a file: the first line acts, the second reads. One that is missing is written.

    Raises:
        MapsearchError: the file cannot be used, has other lines, or others may read it.
    """
    try:
        if not path.exists():
            made = f"{secrets.token_urlsafe(32)}\n{secrets.token_urlsafe(32)}\n"
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(made)
        lines = path.read_text(encoding="ascii").split()
        is_private = os.name != "posix" or not path.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no plain text"
        raise MapsearchError(f"--token-file {path}: cannot be used: {reason}; name a file of yours") from None
    if not is_private:
        raise MapsearchError(f"--token-file {path}: others may read it; run `chmod 600 {path}`")
    if len({*lines}) != 2 or len(lines) != 2 or min(map(len, lines)) < SHORTEST_TOKEN:
        raise MapsearchError(
            f"--token-file {path}: must hold two different tokens of at least {SHORTEST_TOKEN} characters, a line "
            "each: the first acts, the second only reads; delete the file, and it is written anew"
        )
    return Tokens(None if read_only else lines[0], lines[1])


def _session(token: str) -> str:
    return hmac.new(token.encode(), b"mapsearch session", hashlib.sha256).hexdigest()
