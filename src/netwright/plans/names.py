"""What layers may be called: each name becomes attributes of torch modules, and of classes in source code."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

MOST_SCOPES: Final = 20  # in each other
SHOWN: Final = 100  # letters of a name in a message

_PART: Final = re.compile(r"[A-Za-z0-9]\w{0,99}", re.ASCII)

_ATTRIBUTES: Final = (
    "T_destination activations add_module apply bfloat16 buffers call_super_init carried carry children compile cpu "
    "cuda double draws dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter "
    "get_submodule half ipu keeps_activations load_state_dict modules mtia named_buffers named_children named_modules "
    "named_parameters parameters register_backward_hook register_buffer register_forward_hook "
    "register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook "
    "register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter "
    "register_state_dict_post_hook register_state_dict_pre_hook regularize requires_grad_ set_extra_state "
    "set_submodule share_memory state_dict to to_empty train training type with_auxiliary xpu zero_grad"
)
# what torch's modules and `Network` have; a layer of such a name could not be reached, or would take its place
TAKEN: Final = frozenset(_ATTRIBUTES.split())
_REFUSED: Final = TAKEN.union(keyword.kwlist)


class Names:
    """The names of a plan's layers so far."""

    def __init__(self) -> None:
        self._layers: set[str] = set()
        self._modules: set[tuple[str, str]] = set()  # of layers with weights, as `module_of` gives them
        self._outermost: set[str] = set()  # scopes

    def add(self, name: str, *, has_weights: bool) -> None:
        """Give a layer its name. Raises ValueError, with a sentence, where it cannot have it."""
        module = module_of(name)
        if name in self._layers:
            raise ValueError(f"there is a layer {name} already; give one of the two another name or scope")
        self._layers.add(name)
        scope = module[0]
        if scope and scope not in self._outermost:
            if ("", scope) in self._modules:
                raise ValueError(f"the layer {scope} has weights, so that no scope can be called so; rename one")
            self._outermost.add(scope)
        if not has_weights:
            return
        if not scope and name in self._outermost:
            raise ValueError(f"there is a scope {name}, so that no layer with weights can be called so; rename one")
        if module in self._modules:
            raise ValueError(f"the weights of {name} would have the name of another layer's; give it another name")
        self._modules.add(module)


@lru_cache(maxsize=2**16)  # networks of a space have their names in common
def module_of(name: str) -> tuple[str, str]:
    """The outermost scope of a layer, "" outside any, and what its module is called there: the rest with underscores.

    Raises:
        ValueError: The name has parts that no module can have.
    """
    parts = name.split(".", MOST_SCOPES + 1)
    if len(parts) > MOST_SCOPES + 1:
        raise ValueError(f"{name[:SHOWN]!r} has more scopes in each other than {MOST_SCOPES}; leave some out")
    for part in parts:
        _check(part, name)
    if len(parts) == 1:
        return "", name
    attribute = identifier(parts[1:])
    if attribute in _REFUSED:
        raise ValueError(f"the layer {name} would be {attribute} in source code; give it another name")
    return parts[0], attribute


def identifier(parts: Sequence[str]) -> str:
    """Parts joined by underscores, with "at_" before a digit."""
    joined = "_".join(parts)
    return f"at_{joined}" if joined[:1].isdigit() else joined


def _check(part: str, name: str) -> None:
    """Refuse a part of a name. Raises ValueError."""
    if not _PART.fullmatch(part):
        raise ValueError(
            f"the name {name[:SHOWN]!r} has the part {part[:SHOWN]!r}; parts are 1 to 100 letters, digits and "
            "underscores and begin with no underscore"
        )
    if part in _REFUSED:
        raise ValueError(f"the name {name[:SHOWN]!r} has the part {part!r}, which has a meaning already; rename it")
