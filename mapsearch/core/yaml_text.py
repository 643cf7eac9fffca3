"""The text of a YAML file -> plain data in bounded time and memory, or every problem of it with its line."""

from typing import Any

import yaml
from yaml.constructor import SafeConstructor

from mapsearch.core.errors import SpecError
from mapsearch.core.text import MAX_SHOWN

MAX_BYTES = 2**18
MAX_NODES = 10_000
MAX_DEPTH = 20
MAX_ALIASES = 20
MAX_DIGITS = 100

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {_TAG + name for name in ("null", "bool", "int", "float", "str", "seq", "map", "merge")}
_READ_AS = {
    "null": "no value",
    "bool": "a boolean",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
    "value": "a default",
}
_ADVICE = {
    "found character '\\t'": "a tab cannot indent; use spaces",
    "mapping values are not allowed": "unexpected `:`; put text that contains `: ` in quotes, or check the indentation",
    "expected <block end>": "the indentation does not fit the lines above",
    "could not find expected ':'": "a key must be followed by `: `",
    "found unexpected end of stream": "a quote is opened and never closed",
    "but found another document": "a second document begins here; a study file is one document",
}
"""How a complaint of the parser begins -> what its author should know."""


def decode(content: bytes) -> str:
    """The text of the bytes of a file.

    Raises:
        SpecError: the file is too large, or is not UTF-8.
    """
    _check_size(len(content))
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SpecError("the file is encoded as UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise SpecError(f"line {line}: byte 0x{byte:02x} is not UTF-8; save the file as UTF-8") from None


def parse_yaml(text: str) -> tuple[Any, list[str]]:
    """The data of a text, and the problems that leave the rest of it readable: keys that are not text or come twice.

    Such keys are left out of the data.

    Raises:
        SpecError: the text is not YAML, not plain data, or larger, deeper or more entangled than a study file can be.
    """
    _check_size(len(text))
    try:
        _check_events(text)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None, []
        _check_expansion(node, (), {})
        value_problems, key_problems = _node_problems(node)
        if value_problems:
            raise SpecError(*value_problems, *key_problems)
        return loader.construct_document(node), key_problems
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(f"line {line}: character U+{error.character:04X} is not allowed in YAML; delete it") from None
    except yaml.MarkedYAMLError as error:
        raise SpecError(_complaint(error)) from None


def _check_size(n: int) -> None:
    if n > MAX_BYTES:
        raise SpecError(f"the file is larger than {MAX_BYTES // 1024} KiB, which no study file needs")


def _check_events(text: str) -> None:
    """Nesting, nodes and aliases counted while the text is parsed, before anything is built from it."""
    depth = n_nodes = n_aliases = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        n_nodes += isinstance(event, yaml.NodeEvent)
        n_aliases += isinstance(event, yaml.AliasEvent)
        assert event.start_mark is not None
        line = event.start_mark.line + 1
        if depth > MAX_DEPTH:
            raise SpecError(f"line {line}: nested more than {MAX_DEPTH} levels deep, which no study file needs")
        if n_nodes > MAX_NODES:
            raise SpecError(f"line {line}: more than {MAX_NODES} keys and values, which no study file needs")
        if n_aliases > MAX_ALIASES:
            raise SpecError(f"line {line}: more than {MAX_ALIASES} aliases (`*name`); write the values out")


def _check_expansion(node: yaml.Node, around: tuple[int, ...], known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Number of nodes and depth with every alias written out; `around` are the nodes that hold this one."""
    line = node.start_mark.line + 1
    if id(node) in around:
        raise SpecError(f"line {line}: an anchor (`&name`) contains itself; write the value out")
    if id(node) not in known:
        inner = [_check_expansion(child, (*around, id(node)), known) for child in _children(node)]
        known[id(node)] = 1 + sum(size for size, _ in inner), 1 + max((depth for _, depth in inner), default=0)
    size, depth = known[id(node)]
    if size > MAX_NODES or depth > MAX_DEPTH + 1:
        raise SpecError(
            f"line {line}: with its aliases (`*name`) written out this is more than {MAX_NODES} values "
            f"or {MAX_DEPTH} levels; write out what is needed"
        )
    return size, depth


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _node_problems(root: yaml.Node) -> tuple[list[str], list[str]]:
    """Values that are not plain data, and keys that are not text or come twice; such keys are taken out."""
    value_problems, key_problems = [], []
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if problem := _value_problem(node):
            value_problems.append(problem)
        elif isinstance(node, yaml.MappingNode):
            key_problems += _take_out_bad_keys(node)
            waiting += [value for _, value in reversed(node.value)]
        else:
            waiting += reversed(_children(node))
    return value_problems, key_problems


def _value_problem(node: yaml.Node) -> str:
    line = node.start_mark.line + 1
    kind = node.tag.removeprefix(_TAG)
    if kind in ("timestamp", "value"):
        return f"line {line}: `{node.value}` is read as {_READ_AS[kind]}; put it in quotes"
    if node.tag not in _PLAIN_TAGS:
        return (
            f"line {line}: the tag `{node.tag.replace(_TAG, '!!')}` is not allowed; give text, numbers, lists or keys"
        )
    if kind in ("int", "float") and len(node.value) > MAX_DIGITS:
        return f"line {line}: a number of {len(node.value)} digits; put it in quotes if it is text"
    if isinstance(node, yaml.ScalarNode) and not _can_be_built(node):
        return f"line {line}: `{node.value[:MAX_SHOWN]}` is not {_READ_AS[kind]}; put it in quotes"
    return ""


def _can_be_built(node: yaml.ScalarNode) -> bool:
    """Whether a value is what its tag says: `0x_` looks like a number, and `!!bool x` says that it is a boolean."""
    try:
        SafeConstructor().construct_object(node)
    except (ValueError, KeyError):
        return False
    return True


def _take_out_bad_keys(node: yaml.MappingNode) -> list[str]:
    problems: list[str] = []
    lines: dict[str, int] = {}
    good = []
    for key, value in node.value:
        line = key.start_mark.line + 1
        if problem := _key_problem(key):
            problems.append(f"line {line}: {problem}")
        elif key.value in lines:
            problems.append(
                f"line {line}: key `{key.value[:MAX_SHOWN]}` is given twice, first on line {lines[key.value]}"
            )
        else:
            lines[key.value] = line
            good.append((key, value))
    node.value = good
    return problems


def _key_problem(key: yaml.Node) -> str:
    if not isinstance(key, yaml.ScalarNode):
        return "a key must be text, but got a list or a mapping"
    kind = key.tag.removeprefix(_TAG)
    if kind in ("str", "merge"):
        return ""
    return f"key `{key.value[:MAX_SHOWN]}` is read as {_READ_AS.get(kind, kind)}; put it in quotes"


def _complaint(error: yaml.MarkedYAMLError) -> str:
    """What the parser could not read, on one line."""
    said = " ".join(str(error.problem).split())
    advice = next((text for start, text in _ADVICE.items() if said.startswith(start)), said)
    marks = [mark for mark in (error.problem_mark, error.context_mark) if mark is not None]
    place = f"line {marks[0].line + 1}: " if marks else ""
    return f"not valid YAML: {place}{advice}"
