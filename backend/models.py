# SPDX-License-Identifier: GPL-3.0-or-later
"""The models that ship with the engine: what is there, and whether it is whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from .errors import BadInput, MissingPart

#: Says name, file, sha256, licence and purpose of every embedded model.
MANIFEST = Path(__file__).resolve().parent / "models.json"


def listing() -> list[dict[str, Any]]:
    """Every known model with ``state``: ok, missing or damaged."""
    entries = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return [{**entry, "state": _state(entry)} for entry in entries]


def verify() -> list[dict[str, Any]]:
    """The listing; raises :class:`MissingPart` if a model is missing or damaged."""
    found = listing()
    broken = [f"{entry['name']} is {entry['state']}" for entry in found if entry["state"] != "ok"]
    if broken:
        raise MissingPart(f"{'; '.join(broken)}.", "Install the extension again.")
    return found


def fetch(name: str) -> None:
    """Embedded models need no download, and no larger backbone is offered in this version."""
    known = [entry["name"] for entry in listing()]
    if name in known:
        raise BadInput(f"The model {name} ships with the engine.", "Use 'models verify' to check it.")
    raise BadInput(f"There is no model '{name}' to fetch.", f"Known: {', '.join(known)}.")


def _state(entry: dict[str, Any]) -> str:
    path = MANIFEST.parent / entry["file"]
    if not path.is_file():
        return "missing"
    return "ok" if hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"] else "damaged"
