# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model will need, told by its files' headers, and what a device has free: compared before anything loads."""

from __future__ import annotations

from pathlib import Path

from ...errors import LimelightError
from ...limo.backbone.memory import component, elements, free
from .weights import FILE

#: Bytes that sampling and decoding take for each pixel of a picture on top of the weights: the VAE's last block, some
#: four kilobytes in float32, is the largest of it; the rest is an allowance.
WORKING = 10_000


def needed(folder: Path, size: int, network_bytes: int) -> int:
    """Bytes that the model of a folder takes at ``size`` pixels a side, its networks at ``network_bytes`` a number."""
    networks = elements([folder / FILE, *component(folder, "unet")])
    # The VAE is kept in float32.
    return networks * network_bytes + elements(component(folder, "vae")) * 4 + WORKING * size * size


def needed_by_flow(folder: Path, size: int, network_bytes: int) -> int:
    """The same for a flow-matching transformer; its text encoders are freed before it loads."""
    largest = max(
        elements(component(folder, "transformer")),
        *(elements(component(folder, part)) for part in ("text_encoder", "text_encoder_2")),
    )
    return largest * network_bytes + elements(component(folder, "vae")) * 4 + WORKING * size * size


def check(model: str, device: str, bytes_needed: int) -> None:
    """Raise an error with both numbers unless the model fits."""
    available = free(device)
    if bytes_needed > available:
        raise LimelightError(
            f"The model {model} needs about {bytes_needed / 1e9:.1f} GB of {device}'s memory, "
            f"of which {available / 1e9:.1f} GB are free.",
            "Close other programs that use it, or use the embedded model.",
            "memory",
        )
