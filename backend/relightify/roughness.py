# SPDX-License-Identifier: GPL-3.0-or-later
"""How rough skin is where it reflects so much: a prior that the synthesiser's rule gives, no measurement.

In the made heads that the prior of the maps learnt from, oil makes skin smooth and lets it reflect more, on nose,
forehead and chin; lips are wet; under hair it is rough. So at each place of the UV square the specular albedo tells the
roughness nearly by a straight line, which ``training.relightify.roughness`` fits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from ..weights import opened, parameters

WEIGHTS = Path(__file__).parent / "weights" / "roughness.safetensors"
#: Texels a side of the lines.
SIZE = 128
#: The roughness that the rule gives at the least and at the most.
_BOUNDS = (0.25, 0.75)


@dataclass(frozen=True, eq=False)
class RoughnessModel:
    """``usual`` roughness, in Blender's and glTF's terms (the root of GGX's width), where the specular albedo is
    ``albedo``, and its ``slope``: each (1, 128, 128)."""

    usual: Tensor
    albedo: Tensor
    slope: Tensor

    def of(self, specular: Tensor) -> Tensor:
        """(1, R, R) of skin with a specular albedo (1, R, R), both as in a stack of :mod:`.maps`, filled beside the
        skin; it varies as softly as the lines do."""
        soft = self.usual + self.slope * (F.adaptive_avg_pool2d(specular, SIZE) - self.albedo)
        fine = F.interpolate(soft[None], specular.shape[-1], mode="bilinear", align_corners=False)[0]
        return fine.clamp(*_BOUNDS)


def fit_roughness(specular: Tensor, roughness: Tensor) -> RoughnessModel:
    """The lines of heads (N, 1, 128, 128), by least squares at each place."""
    usual, albedo = roughness.mean(0), specular.mean(0)
    off = specular - albedo
    slope = (off * (roughness - usual)).sum(0) / off.square().sum(0).clamp(min=1e-6)
    return RoughnessModel(usual, albedo, slope)


@lru_cache(maxsize=1)
def load_roughness(path: Path = WEIGHTS) -> RoughnessModel:
    """The model that ships; raises :class:`~..errors.MissingPart`."""
    with opened(path, "roughness", missing="Install the extension again.") as file:
        found = parameters(file)
        return RoughnessModel(**{field.name: found[field.name] for field in fields(RoughnessModel)})


def save_roughness(model: RoughnessModel, path: Path, header: dict[str, str]) -> None:
    """Write a model in half precision."""
    save_file({name: value.half().contiguous() for name, value in asdict(model).items()}, path, header)
