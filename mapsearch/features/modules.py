"""The modules of a network by path, whatever wraps it: distributed training, `torch.compile`, PEFT, checkpoints."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from mapsearch.core.addresses import parse_address


def bare_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Modules by their path without wrappers, the model itself as "".

    Where a wrapper stands, it is the wrapper that is found under the path: a hook outside a compiled
    or checkpointed region sees what leaves it. Of a module that is shared, the first path counts.
    """
    modules: dict[str, nn.Module] = {}
    seen: set[nn.Module] = set()
    waiting = [("", model)]
    while waiting:
        path, module = waiting.pop()
        core = unwrapped(module)
        if core not in seen:
            seen.add(core)
            modules[path] = module
            below = [(f"{path}.{name}" if path else name, child) for name, child in core.named_children()]
            waiting += reversed(below)  # the last is taken first
    return modules


def unwrapped(module: nn.Module) -> nn.Module:
    """The module inside all of its wrappers; one without wrappers as it is.

    A wrapper is known by the name of its only child, and PEFT's by their classes.
    """
    only = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
    of_class = {"PeftModel": "base_model", "BaseTuner": "model"}  # as strings: PEFT need not be here
    children = dict(module.named_children())
    if not children:
        return module
    names = [of_class[cls.__name__] for cls in type(module).__mro__ if cls.__name__ in of_class]
    names += [name for name in children if name in only and len(children) == 1]
    return unwrapped(children[names[0]]) if names and names[0] in children else module


def other_names(model: nn.Module) -> dict[str, str]:
    """The bare path behind further names: those that name wrappers, and the later paths of shared modules."""
    bare = {unwrapped(module): path for path, module in bare_modules(model).items()}
    named = ((name, unwrapped(module)) for name, module in model.named_modules(remove_duplicate=False))
    return {name: bare[module] for name, module in named if module in bare and name != bare[module]}


def named_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The modules below the model under all of their names; a bare one goes before another's further one."""
    modules = {path: module for path, module in bare_modules(model).items() if path}
    return {name: modules[path] for name, path in other_names(model).items() if path} | modules


def is_compiled(module: nn.Module) -> bool:
    """Whether the module, or one it wraps, was given to `torch.compile`; what lies inside is not looked at."""
    if module._compiled_call_impl is not None or type(module).__name__ == "OptimizedModule":
        return True
    core = unwrapped(module)
    return core is not module and any(map(is_compiled, module.children()))


def inside_compiled(model: nn.Module, paths: Collection[str]) -> tuple[str, ...]:
    """Those of the paths, bare or not, that lie inside a graph of `torch.compile`.

    What `torch.compile(module)` gives is watched from outside its graph; `module.compile()` makes the
    module's own hooks a part of it.
    """
    regions = {path: module for path, module in bare_modules(model).items() if is_compiled(module)}
    bare = other_names(model)
    at = {path: parse_address(path).path for path in paths}
    return tuple(path for path in paths if any(_is_inside(bare.get(at[path], at[path]), *x) for x in regions.items()))


@contextmanager
def watchable(model: nn.Module, paths: Collection[str]) -> Iterator[None]:
    """Lets hooks on these paths see every pass of a network that is compiled, wholly or in part.

    With a path inside a graph everything runs eager. Else graphs made here keep what a backward pass
    reads, so that several losses can be differentiated one by one.
    """
    with ExitStack() as stack:
        if any(map(is_compiled, model.modules())):
            is_inside = inside_compiled(model, paths)
            stack.enter_context(runs_eager() if is_inside else torch._functorch.config.patch(donated_buffer=False))
        yield


@contextmanager
def runs_eager() -> Iterator[None]:
    """Whatever is compiled runs as it was written: a graph made earlier knows nothing of hooks set now."""
    with torch.compiler.set_stance("force_eager"):
        yield


def _is_inside(path: str, region: str, module: nn.Module) -> bool:
    if path == region:
        return module._compiled_call_impl is not None
    return not region or path.startswith(f"{region}.")
