"""`mapsearch layers`: the layers of both networks."""

from pathlib import Path

import click

from mapsearch.cli.options import EXAMPLE, json_option, read_study, storage_option, study_argument
from mapsearch.cli.output import print_json, print_table


@click.command(epilog=EXAMPLE + "mapsearch layers my-study/study.yaml")
@study_argument
@storage_option
@json_option
def layers(study: Path, storage: str, as_json: bool) -> None:
    """List the layers of both networks: path, type, feature, and whether each takes part, or why it cannot."""
    spec = read_study(study)
    from mapsearch.api.inspect import layers_of

    networks = layers_of(spec, storage)
    if as_json:
        print_json(
            {
                name: [{**x.to_json(), "takes_part": x.path in layers.taking_part} for x in layers.listed]
                for name, layers in networks.items()
            }
        )
        return
    from mapsearch.report.study import layers_table

    for network, layers in networks.items():
        print_table(layers_table(network, layers.listed, layers.taking_part))
