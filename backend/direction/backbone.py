# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in form: a frozen image backbone of the user's choice with a pooled head that was trained on top.

A trained folder holds ``backbone/`` (a model in transformers' layout, safetensors only; timm models saved by
transformers too) and ``direction_head.safetensors``, as ``limelight train direction --backbone FOLDER`` writes them.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import BadInput, MissingPart
from ..optics.exposure import srgb_oetf
from . import bins
from .embedded import Loaded
from .network import VALUES, Inputs, probe_features

HEAD = "direction_head.safetensors"
_HIDDEN = 256
#: What backbones trained on ImageNet expect.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def read_backbone(folder: Path) -> nn.Module:
    """A backbone from its folder, frozen; nothing is downloaded and nothing unpickled."""
    from transformers import AutoModel

    if not (folder / "config.json").is_file():
        raise BadInput(f"{folder} holds no backbone.", "Name a folder with config.json and model.safetensors.")
    try:
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        told = (str(error).strip().splitlines() or ["no message"])[0]
        raise BadInput(
            f"The backbone in {folder.name} cannot be read ({told}).",
            "It must be an image model in transformers' layout with model.safetensors.",
        ) from error
    return model.eval().requires_grad_(False)


class FrozenBackbone(nn.Module):
    """Global average of a frozen backbone's features, the lens and the probe through a perceptron.

    forward(:class:`Inputs`) -> logits of the bins (B, 642) and values (B, 5). Only ``head`` learns.
    """

    def __init__(self, backbone: nn.Module, outputs: int = bins.BINS + VALUES) -> None:
        super().__init__()
        self.backbone = backbone.eval().requires_grad_(False)
        self.side = input_side(backbone)
        inside = pooled(backbone, torch.zeros(1, 3, self.side, self.side)).shape[-1] + 8
        self.head = nn.Sequential(
            nn.LayerNorm(inside), nn.Linear(inside, _HIDDEN), nn.GELU(), nn.Dropout(0.1), nn.Linear(_HIDDEN, outputs)
        )

    def train(self, mode: bool = True) -> FrozenBackbone:
        """The backbone stays as it was trained: no dropout, no running statistics."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        picture = F.interpolate(srgb_oetf(inputs.picture), (self.side, self.side), mode="bilinear", antialias=True)
        mean, deviation = (picture.new_tensor(x)[:, None, None] for x in (_MEAN, _DEVIATION))
        features = pooled(self.backbone, (picture - mean) / deviation)
        known = torch.cat([features, inputs.lens, probe_features(inputs.probe)], -1)
        answer = self.head(known).float()
        return answer[..., : bins.BINS], answer[..., bins.BINS :]


def input_side(backbone: nn.Module) -> int:
    """The picture size that a backbone was made for, 224 pixels if it does not say."""
    size = getattr(getattr(backbone, "config", None), "image_size", None)
    return int(size[0] if isinstance(size, list | tuple) else size or 224)


@torch.no_grad()
def pooled(backbone: nn.Module, pictures: Tensor) -> Tensor:
    """Features (B, C) of pictures (B, 3, S, S): tokens (B, N, C) or maps (B, C, H, W) averaged over places."""
    answer: Any = backbone(pictures)
    features = answer if isinstance(answer, Tensor) else answer[0]
    return features.flatten(2).mean(-1) if features.ndim == 4 else features.mean(1)


def is_trained_backbone(folder: Path) -> bool:
    """Whether a folder holds a backbone with a trained head."""
    return (folder / HEAD).is_file() and (folder / "backbone").is_dir()


@lru_cache(maxsize=1)
def load_backbone(folder: Path, device: str = "cpu") -> Loaded:
    """The backbone and its trained head, ready to run."""
    network = FrozenBackbone(read_backbone(folder / "backbone"))
    try:
        with safe_open(folder / HEAD, "pt") as file:
            state = {name.removeprefix("head."): file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            network.head.load_state_dict(state)
            temperature = float((file.metadata() or {}).get("temperature", 1.0))
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise MissingPart(
            f"The head in {folder.name} is damaged or of another backbone ({type(error).__name__}).", "Train it again."
        ) from error
    return Loaded(network.eval().to(device), temperature)


def unload() -> None:
    """Free the backbone's memory."""
    load_backbone.cache_clear()
