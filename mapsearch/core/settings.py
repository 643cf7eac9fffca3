"""Keys of a study file set beside it: `train.lr=2.0e-3`."""

from collections.abc import Sequence
from typing import Any

from mapsearch.core.errors import SpecError
from mapsearch.core.text import shortened
from mapsearch.core.yaml_text import parse_yaml


def with_settings(data: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """The data of a study file with every `key=value` put in; keys of a section are dotted, values are YAML.

    Raises:
        SpecError: a setting has no key or no value, its value is not YAML, or its section is no section.
    """
    data, problems = dict(data), list[str]()
    for setting in settings:
        key, equals, text = setting.partition("=")
        *sections, name = key.strip().split(".")
        if not equals or not all((*sections, name)):
            problems.append(f"a setting must be KEY=VALUE, such as `train.lr=2.0e-3`, but got {shortened(setting)}")
            continue
        try:
            value, unreadable = parse_yaml(text)
            _section(data, sections)[name] = value
        except SpecError as error:
            unreadable = list(error.problems)
        problems += [f"setting `{key.strip()}`: {problem}" for problem in unreadable]
    if problems:
        raise SpecError(*problems)
    return data


def _section(data: dict[str, Any], sections: Sequence[str]) -> dict[str, Any]:
    """The section, made new where it is missing; what is given to `with_settings` stays as it is."""
    for section in sections:
        inner = data.get(section)
        if inner is not None and not isinstance(inner, dict):
            raise SpecError(f"`{section}` is not a section, but {shortened(inner)}")
        data[section] = data = dict(inner or {})
    return data
