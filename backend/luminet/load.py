# SPDX-License-Identifier: GPL-3.0-or-later
"""The relighter that a job's model names, kept in memory between jobs."""

from __future__ import annotations

from functools import lru_cache

from ..models import find_backbone
from .relighter import Relighter

#: The model that ships with the engine; any other name is a diffusers model's folder.
EMBEDDED = "embedded"


@lru_cache(maxsize=1)
def load_relighter(model: str, device: str) -> Relighter:
    """The relighter, ready to run on a torch device; kept until another is asked for or :func:`unload`."""
    if model == EMBEDDED:
        from . import embedded

        return embedded.load_relighter(device=device)
    from . import diffusion

    return diffusion.load_relighter(find_backbone(model), device)


def unload() -> None:
    """Free the model's memory."""
    load_relighter.cache_clear()
