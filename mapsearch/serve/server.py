"""The process: an address is taken, the links are told, and requests are answered until Ctrl-C."""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from mapsearch.core.errors import MapsearchError
from mapsearch.serve.app import create_app
from mapsearch.serve.settings import Settings
from mapsearch.serve.tokens import fresh_tokens, tokens_of

SECONDS_TO_END = 2
"""How long open answers, such as a stream of events, may go on after Ctrl-C."""


@dataclass(frozen=True)
class Options:
    """What `mapsearch serve` was asked for; a `port` of 0 takes any that is free."""

    storage: str
    host: str = "127.0.0.1"
    port: int = 8730
    studies: Path | None = None
    max_running: int = 1
    read_only: bool = False
    token_file: Path | None = None
    host_names: tuple[str, ...] = ()
    data: Path | None = None


def serve(options: Options, tell: Callable[[str], None]) -> None:
    """Answer requests until Ctrl-C; `tell` gets the links, once they can be opened.

    Raises:
        MapsearchError: the address or an option cannot be used.
    """
    if options.studies is not None and not options.studies.is_dir():
        raise MapsearchError(f"--studies {options.studies}: must be a folder of study folders, but there is none")
    if not _is_local(options.host) and options.token_file is None:
        raise MapsearchError(
            f"--host {options.host}: others can reach this address, so the tokens must be yours: add --token-file "
            "FILE, which is written where there is none"
        )
    file, read_only = options.token_file, options.read_only
    tokens = fresh_tokens(read_only=read_only) if file is None else tokens_of(file, read_only=read_only)
    listener = _listen(options.host, options.port)
    port = listener.getsockname()[1]
    names = frozenset(name.lower() for name in ("localhost", socket.gethostname(), options.host, *options.host_names))
    settings = Settings(options.storage, tokens, port, options.studies, options.max_running, names, options.data)
    config = uvicorn.Config(
        create_app(settings), log_level="warning", access_log=False, server_header=False, ws="none",
        timeout_graceful_shutdown=SECONDS_TO_END,
    )  # fmt: skip
    for line in _links(_address(options.host, port), settings, shown=file is None):
        tell(line)
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens already: a link that is told before can be opened at once."""
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=kind)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MapsearchError(f"--host {host} --port {port}: cannot be used: {reason}; choose another --port") from None


def _address(host: str, port: int) -> str:
    if host in ("0.0.0.0", "::"):  # all addresses; its name is one that others may know
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _links(address: str, settings: Settings, *, shown: bool) -> Iterable[str]:
    """What to open. Tokens of a file are not repeated: what is printed ends in logs."""
    tokens = settings.tokens
    if not shown:
        yield f"{address}/?token=..., with a token of the file"
        return
    if tokens.act is not None:
        yield f"{address}/?token={tokens.act}"
    yield f"{address}/?token={tokens.read}   (only reads: to share)"
