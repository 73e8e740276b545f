"""What layers may be called: each name becomes attributes of torch modules, and of classes in source code."""

from __future__ import annotations

import keyword
import re
from typing import Final

MOST_SCOPES: Final = 20  # in each other
SHOWN: Final = 100  # letters of a name in a message

_PART: Final = re.compile(r"[A-Za-z0-9]\w{0,99}", re.ASCII)

_ATTRIBUTES: Final = (
    "T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches "
    "eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict "
    "modules mtia named_buffers named_children named_modules named_parameters parameters register_backward_hook "
    "register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook "
    "register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook "
    "register_module register_parameter register_state_dict_post_hook register_state_dict_pre_hook regularize "
    "requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty train training type "
    "with_auxiliary xpu zero_grad"
)
# what torch's modules and `Network` have; a layer of such a name could not be reached, or would take its place
TAKEN: Final = frozenset(_ATTRIBUTES.split())
_REFUSED: Final = TAKEN.union(keyword.kwlist)
_BEGINNINGS: Final = {word[: place + 1] for word in TAKEN for place, letter in enumerate(word) if letter == "_"}


class Names:
    """The names of a plan's layers so far."""

    def __init__(self) -> None:
        self._layers: dict[str, bool] = {}  # whether it has weights
        self._scopes: dict[str, str] = {}  # what precedes a layer's name in source code, if it might end up refused
        self._parts: set[str] = set()  # of names, checked before

    def add(self, name: str, *, has_weights: bool) -> None:
        """Give a layer its name. Raises ValueError, with a sentence, where it cannot have it."""
        scope, dot, short = name.rpartition(".")
        if dot and scope not in self._scopes:
            self._open(scope)
        if short not in self._parts or not dot:
            _check(short, name, is_outermost=not dot)
            self._parts.add(short)
        if name in self._layers:
            raise ValueError(f"there is a layer {name} already; give one of the two another name or scope")
        if has_weights:
            if name in self._scopes:
                raise ValueError(f"there is a scope {name}, so that no layer with weights can be called so; rename one")
            before = self._scopes[scope] if dot else ""
            if before and f"{before}{short}" in _REFUSED:
                raise ValueError(f"the layer {name} would be {before}{short} in source code; give it another name")
        self._layers[name] = has_weights

    def _open(self, scope: str) -> None:
        """Check a scope that is new, and those around it."""
        if scope.count(".") >= MOST_SCOPES:
            raise ValueError(f"{scope[:SHOWN]!r} has more scopes in each other than {MOST_SCOPES}; leave some out")
        outer, dot, inner = scope.rpartition(".")
        if dot and outer not in self._scopes:
            self._open(outer)
        _check(inner, scope, is_outermost=not dot)
        if self._layers.get(scope):
            raise ValueError(f"the layer {scope} has weights, so that no scope can be called so; rename one")
        before = f"{scope.partition('.')[2].replace('.', '_')}_" if dot else ""
        self._scopes[scope] = before if before in _BEGINNINGS else ""


def _check(part: str, name: str, *, is_outermost: bool) -> None:
    """Refuse a part of a name. Raises ValueError."""
    if not _PART.fullmatch(part) or (is_outermost and part[0].isdigit()):
        rule = "and begin with a letter" if is_outermost else "and begin with no underscore"
        raise ValueError(
            f"the name {name[:SHOWN]!r} has the part {part[:SHOWN]!r}; parts are 1 to 100 letters, digits and "
            f"underscores {rule}"
        )
    if part in _REFUSED:
        raise ValueError(f"the name {name[:SHOWN]!r} has the part {part!r}, which has a meaning already; rename it")
