# SPDX-License-Identifier: GPL-3.0-or-later
"""LPIPS on AlexNet (Zhang et al. 2018), with weights that a user has; none ship, for those of AlexNet are not free.

The file is safetensors with the names of ``lpips.LPIPS(net="alex")``: convolutions ``….0|3|6|8|10.weight`` and
``.bias``, and one weight a channel of each, ``lin0.model.1.weight`` to ``lin4.model.1.weight``.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional as F

from ..errors import BadInput

#: Of each convolution its place in torchvision's AlexNet, channels, stride and padding; a 3×3 pool of stride 2 before.
_LAYERS = (
    (0, 64, 4, 2, False),
    (3, 192, 1, 2, True),
    (6, 384, 1, 1, True),
    (8, 256, 1, 1, False),
    (10, 256, 1, 1, False),
)
#: ImageNet's mean and spread for pictures in [−1, 1].
_SHIFT, _SCALE = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
_REMEDY = "Write it by safetensors.torch.save_model(lpips.LPIPS(net='alex'), 'lpips_alex.safetensors')."


class Lpips:
    """The distance of two display pictures (S, S, 3) in [0, 1]; S at least 64. The mask is not looked at (§1.9)."""

    def __init__(self, weights: Path) -> None:
        try:
            with safe_open(weights, "pt") as file:
                tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise BadInput(f"{weights} is no file of LPIPS weights ({type(error).__name__}).", _REMEDY) from error
        self.convolutions = [(_find(tensors, f"{at}.weight", 4), _find(tensors, f"{at}.bias", 1)) for at, *_ in _LAYERS]
        self.lins = [_find(tensors, f"lin{i}.model.1.weight", 4) for i in range(len(_LAYERS))]
        for (weight, _), lin, (at, channels, *_) in zip(self.convolutions, self.lins, _LAYERS, strict=True):
            if weight.shape[0] != channels or lin.shape[:2] != (1, channels):
                raise BadInput(f"{weights.name}: layer {at} has {weight.shape[0]} channels, not {channels}.", _REMEDY)

    def __call__(self, a: Tensor, b: Tensor, mask: Tensor | None = None) -> float:
        total = 0.0
        pairs = zip(self._features(torch.stack([a, b])), self.lins, strict=True)
        for features, lin in pairs:
            unit = features / (features.norm(dim=1, keepdim=True) + 1e-10)
            total += float(F.conv2d((unit[:1] - unit[1:]) ** 2, lin).mean())
        return total

    def _features(self, pictures: Tensor) -> list[Tensor]:
        """Of pictures (B, S, S, 3) what each convolution sees, (B, C, ·, ·)."""
        x = ((pictures * 2 - 1 - _SHIFT) / _SCALE).permute(0, 3, 1, 2)
        found = []
        for (weight, bias), (_, _, stride, padding, pooled) in zip(self.convolutions, _LAYERS, strict=True):
            x = F.relu(F.conv2d(F.max_pool2d(x, 3, 2) if pooled else x, weight, bias, stride, padding))
            found.append(x)
        return found


def _find(tensors: dict[str, Tensor], ending: str, dimensions: int) -> Tensor:
    """The tensor whose name is ``ending``, or ends in a dot and it."""
    for name, tensor in tensors.items():
        whole = name == ending or name.endswith(f".{ending}")
        if whole and tensor.dim() == dimensions and (ending.startswith("lin") or "lin" not in name):
            return tensor
    raise BadInput(f"The LPIPS weights have no {ending}.", _REMEDY)
