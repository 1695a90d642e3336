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


def given(params: Mapping[str, Any], job: type[Any], known: Collection[str] = ()) -> dict[str, Any]:
    """The parameters that say something (None says nothing).

    Raises :class:`BadInput` for names that are not ``known``, by default the fields of ``job``, a dataclass, and where
    one of these that is true or false is neither.
    """
    fields = {field.name: field.type for field in dataclasses.fields(job)}
    known = known or fields
    unknown = sorted(set(params) - set(known))
    if unknown:
        raise BadInput(f"The request has unknown parameters: {', '.join(unknown)}.", f"Known: {sorted(known)}.")
    for name, value in params.items():
        # Text would be true, also "false".
        if fields.get(name) in ("bool", bool) and value not in (None, True, False):
            raise BadInput(f"The request's {name} is {value!r}.", "Give true or false, without quotes.")
    return {name: value for name, value in params.items() if value is not None}


def read_job(job: type[Job], params: Mapping[str, Any], kinds: Kinds, needed: Sequence[str], remedy: str) -> Job:
    """A job (a dataclass) of a request's parameters, each made what ``kinds`` says, text where it says nothing.

    Raises :class:`BadInput`: unknown names, one of ``needed`` left out (with ``remedy``), or a value of another kind.
    """
    values = given(params, job)
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
