# SPDX-License-Identifier: GPL-3.0-or-later
"""The models that ship with the engine: what is there, and whether it is whole."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from .errors import BadInput, MissingPart

_BACKEND = Path(__file__).resolve().parent
#: Every embedded model; its sha256 stands beside the weights in FILE.sha256, as ``sha256sum`` writes it.
EMBEDDED = (
    {
        "name": "limo",
        "file": "limo/weights/limo_embedded.safetensors",
        "licence": "GPL-3.0-or-later",
        "purpose": "paints the spheres from which the light is fitted",
    },
)


def listing() -> list[dict[str, Any]]:
    """Every known model with ``state``: ok, missing, damaged or unverified (no checksum beside it)."""
    return [{**entry, "state": state(_BACKEND / entry["file"])} for entry in EMBEDDED]


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


def state(weights: Path) -> str:
    """Whether weights are ``ok``, ``missing``, ``damaged`` or ``unverified`` by the checksum beside them."""
    if not weights.is_file():
        return "missing"
    checksum = weights.with_name(weights.name + ".sha256")
    if not checksum.is_file():
        return "unverified"
    expected = checksum.read_text(encoding="utf-8").split()[:1]
    with weights.open("rb") as file:
        return "ok" if [hashlib.file_digest(file, "sha256").hexdigest()] == expected else "damaged"
