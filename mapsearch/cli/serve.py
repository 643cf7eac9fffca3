"""`mapsearch serve`: the studies in a browser, and over HTTP."""

from pathlib import Path

import click

from mapsearch.cli.options import EXAMPLE, storage_option
from mapsearch.cli.output import print_line
from mapsearch.core.errors import MapsearchError

DEFAULT_PORT = 8730


@click.command(epilog=EXAMPLE + "mapsearch serve --studies studies --max-running 2")
@storage_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; any other needs --token-file.")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0: any free one.")
@click.option(
    "--studies", type=click.Path(path_type=Path, file_okay=False), help="Folder of study folders that may be started."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the service's own, for final trainings; default: mapsearch-service beside the database.",
)
@click.option(
    "--max-running", type=click.IntRange(min=1), default=1, show_default=True, help="Studies and trainings at one time."
)
@click.option("--read-only", is_flag=True, help="Nothing can be started, stopped or changed.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Two lines: the token that acts, the token that only reads. Written where there is none.",
)
@click.option("--allow-host", multiple=True, metavar="NAME", help="Another name of this machine, such as a proxy's.")
def serve(
    storage: str,
    host: str,
    port: int,
    studies: Path | None,
    data: Path | None,
    max_running: int,
    read_only: bool,
    token_file: Path | None,
    allow_host: tuple[str, ...],
) -> None:
    """Serve the studies as pages and HTTP API, and start those that are asked for there."""
    try:
        from mapsearch.serve.server import Options
        from mapsearch.serve.server import serve as serve_forever
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mapsearch"):
            raise
        raise MapsearchError(
            f"`mapsearch serve` needs `{error.name}`, which is not installed; `pip install 'mapsearch[serve]'`"
        ) from None
    options = Options(storage, host, port, studies, max_running, read_only, token_file, allow_host, data)
    serve_forever(options, print_line)
