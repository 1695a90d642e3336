# SPDX-License-Identifier: GPL-3.0-or-later
"""The relighter that a job's model names."""

from __future__ import annotations

from ..models import find_backbone
from .relighter import Relighter

#: The model that ships with the engine; any other name is a diffusers model's folder.
EMBEDDED = "embedded"


def load_relighter(model: str, device: str) -> Relighter:
    """The relighter, ready to run on a torch device. Each form keeps in memory what it loaded."""
    if model == EMBEDDED:
        from . import embedded

        return embedded.load_relighter(device=device)
    from .diffusion import load

    return load.load_relighter(find_backbone(model), device)
