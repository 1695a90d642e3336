# SPDX-License-Identifier: GPL-3.0-or-later
"""The three textbook forms of a light direction network, for the benchmark: each answers a bare vector, with its MSE.

None of them knows the lens or the probe. The third is meant to stand on a pretrained ResNet50; nothing is downloaded
here, so its ResNet has random weights, frozen: what a pooled head can read from it is a floor, not the form's best.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ...backend.direction.backbone import pooled
from ...backend.direction.network import VALUES, Inputs
from ...backend.optics.exposure import srgb_oetf

_SIDE = 64


class _Vector(nn.Module):
    """forward(:class:`Inputs`) -> an unnormalised direction (B, 3), and zeros where others tell values."""

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        picture = srgb_oetf(F.interpolate(inputs.picture, (_SIDE, _SIDE), mode="area"))
        vector = self.vector(picture * 2 - 1).float()
        return vector, vector.new_zeros(len(vector), VALUES)

    def vector(self, picture: Tensor) -> Tensor:
        """The direction (B, 3) of pictures (B, 3, 64, 64) in [−1, 1]."""
        raise NotImplementedError


class Flattened(_Vector):
    """Regression on flattened features: the pixels themselves through a perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(3 * _SIDE**2, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 3)
        )

    def vector(self, picture: Tensor) -> Tensor:
        return self.layers(picture)


class SmallCnn(_Vector):
    """Three convolutions with pooling on 64 pixels squared, and a perceptron."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128)
        self.layers = nn.Sequential(
            *(
                part
                for a, b in itertools.pairwise(widths)
                for part in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
            ),
            nn.Flatten(), nn.Linear(128 * (_SIDE // 8) ** 2, 64), nn.ReLU(), nn.Linear(64, 3),
        )  # fmt: skip

    def vector(self, picture: Tensor) -> Tensor:
        return self.layers(picture)


class FrozenResNet(_Vector):
    """A frozen ResNet50, global average pooling, a dense layer of 128 and one of 3."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import ResNetConfig, ResNetModel

        with torch.random.fork_rng():
            # The frozen weights do not ship with the head's, so they must be the same everywhere.
            torch.manual_seed(50)
            backbone = ResNetModel(ResNetConfig())
        self.backbone = backbone.eval().requires_grad_(False)
        self.layers = nn.Sequential(nn.LayerNorm(2048), nn.Linear(2048, 128), nn.ReLU(), nn.Linear(128, 3))

    def train(self, mode: bool = True) -> FrozenResNet:
        """The backbone stays as it is."""
        super().train(mode)
        self.backbone.eval()
        return self

    def vector(self, picture: Tensor) -> Tensor:
        return self.layers(pooled(self.backbone, picture).to(picture.dtype))


FORMS: dict[str, Callable[[], nn.Module]] = {"flattened": Flattened, "cnn": SmallCnn, "frozen": FrozenResNet}


def load_form(name: str, weights: Path) -> nn.Module:
    """A trained form, ready to run; what is frozen is made anew."""
    net = FORMS[name]()
    net.load_state_dict({k: v.float() for k, v in load_file(weights).items()}, strict=False)
    return net.eval()
