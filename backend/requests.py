# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request on the wire asks for, read into a job's dataclass: by name, of the right kinds, nothing unknown."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..bridge.messages import note_of
from .errors import BadInput

Kinds = Mapping[str, Callable[[Any], Any]]
Job = TypeVar("Job")
#: Fields of jobs that change nothing of what comes out.
_ASIDE = ("device", "overwrite")


def given(params: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """The parameters that say something (None says nothing); raises :class:`BadInput` for unknown names."""
    unknown = sorted(set(params) - set(known))
    if unknown:
        raise BadInput(f"The request has unknown parameters: {', '.join(unknown)}.", f"Known: {sorted(known)}.")
    return {name: value for name, value in params.items() if value is not None}


def names_of(job: type[Any]) -> set[str]:
    """What a job can be told: the names of a dataclass's fields."""
    return {field.name for field in dataclasses.fields(job)}


def read_job(job: type[Job], params: Mapping[str, Any], kinds: Kinds, needed: Sequence[str], remedy: str) -> Job:
    """A job (a dataclass) of a request's parameters, each made what ``kinds`` says, text where it says nothing.

    Raises :class:`BadInput`: unknown names, one of ``needed`` left out (with ``remedy``), or a value of another kind.
    """
    values = given(params, names_of(job))
    missing = [name for name in needed if not values.get(name)]
    if missing:
        raise BadInput(f"The request lacks {', '.join(missing)}.", remedy)
    try:
        return job(**{name: kinds.get(name, str)(value) for name, value in values.items()})
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"The request is malformed ({error}).", "Give paths as text and numbers as such.") from error


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raises :class:`BadInput`, which calls the value a ``name``, where it is none of those that are ``allowed``."""
    if value not in allowed:
        raise BadInput(f"The {name} is '{value}'.", f"Use one of: {', '.join(allowed)}.")


def settings_of(job: Any) -> dict[str, Any]:
    """What decides a job's result, as JSON holds it, and its place; all paths whole."""
    told = {name: str(value.resolve()) if isinstance(value, Path) else value for name, value in vars(job).items()}
    return {name: value for name, value in told.items() if name not in _ASIDE}


def note_settings(job: Any) -> None:
    """Write beside a job's result ``out``, which is whole, what it was made with."""
    note_of(job.out).write_text(json.dumps(settings_of(job)), encoding="utf-8")
