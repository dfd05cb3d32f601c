"""Dataclasses of which very many are made: frozen for a type checker, and made as if they were not.

What is frozen is assigned through ``object.__setattr__``, field by field, which takes four times as long, and its class
takes twice as long to define. That nothing is assigned afterwards is for mypy to find.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:
    _Class = TypeVar("_Class")

    def record(*, frozen: bool, eq: bool = True, slots: bool = True) -> Callable[[type[_Class]], type[_Class]]:
        """Decorate as ``dataclass`` does with the same arguments, but for what is said above."""
        return dataclasses.dataclass(eq=eq, unsafe_hash=frozen and eq, slots=slots)


__all__ = ["record"]
