# SPDX-License-Identifier: GPL-3.0-or-later
"""A CLIP model (Radford et al. 2021) from a folder that the user filled; nothing downloads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ...backend.errors import MissingPart

#: How to get weights (MIT) in safetensors.
_GET = "Get one: hf download laion/CLIP-ViT-B-32-laion2B-s34B-b79K --local-dir {0}"


class Scorer(Protocol):
    """What says how well words fit pictures."""

    name: str

    def scores(self, pictures: list[np.ndarray], keywords: Sequence[str]) -> Tensor:
        """Cosines (N, K) of sRGB pictures (H, W, 3) uint8 of any sizes with the keywords."""


class Clip:
    """A :class:`Scorer` of a CLIP model in transformers' layout. Raises :class:`MissingPart` where there is none."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        remedy = _GET.format(folder)
        try:
            from transformers import CLIPModel, CLIPProcessor
        except ImportError as error:
            raise MissingPart("The package transformers is missing.", "Set the engine up again.") from error
        try:
            kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
            if kind != "clip":
                raise MissingPart(f"{folder} holds a model of type '{kind}', not 'clip'.", remedy)
            load: Any = CLIPModel.from_pretrained
            network, loaded = load(folder, use_safetensors=True, local_files_only=True, output_loading_info=True)
            self.processor = CLIPProcessor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise MissingPart(
                f"{folder} holds no CLIP model that transformers can load ({type(error).__name__}).", remedy
            ) from error
        if loaded["missing_keys"]:
            # transformers would go on with random numbers in their place.
            raise MissingPart(f"The CLIP model in {folder} lacks {len(loaded['missing_keys'])} of its weights.", remedy)
        self.network, self.device, self.name = network.eval().to(device), device, folder.name

    def scores(self, pictures: list[np.ndarray], keywords: Sequence[str]) -> Tensor:
        """See :class:`Scorer`."""
        with torch.inference_mode():
            inputs = self.processor(
                text=list(keywords), images=pictures, return_tensors="pt", padding=True, truncation=True
            ).to(self.device)
            found = self.network(**inputs)
        # Both are of length 1.
        return (found.image_embeds @ found.text_embeds.T).float().cpu()
