# SPDX-License-Identifier: GPL-3.0-or-later
"""What gives a picture another's light: the relighter, its decoder alone, and colour transfers that know no light.

Pictures are display values (S, S, 3) in [0, 1].
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol, runtime_checkable

import torch
from skimage.color import lab2rgb, rgb2lab
from skimage.exposure import match_histograms
from torch import Tensor
from torch.nn import functional as F

from ...backend.luminet.estimate import estimate, light_code
from ...backend.luminet.ratio import carried
from ...backend.luminet.relighter import Relighter
from ...backend.optics.exposure import srgb_eotf, srgb_oetf

#: Source and reference to the result.
Method = Callable[[Tensor, Tensor], Tensor]
LUMINET, CARRIED, DECODER, UNCHANGED = "LumiNet", "LumiNet, carried", "decoder alone", "source unchanged"
#: What is measured; the rest are baselines.
MEASURED = (LUMINET, CARRIED)
#: Darkest linear value that a logarithm sees: half a step of 8 bits.
_DARKEST = 0.5 / 255 / 12.92
#: Linear Rec.709 to cone responses, and their logarithms to lαβ (Reinhard et al. 2001, eq. 4 and 6).
_LMS = torch.tensor([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
_LAB = torch.tensor([[1.0, 1, 1], [1, 1, -2], [1, -1, 0]]) / torch.tensor([3.0, 6, 2]).sqrt()[:, None]


@runtime_checkable
class Decodes(Protocol):
    """A relighter that can also show its decoder's guess."""

    def decode(self, picture: Tensor, code: Tensor) -> Tensor:
        """The picture (3, S, S) under the light of ``code`` (16,): display values (3, S, S), before any diffusion."""


def methods(relighter: Relighter, quality: str, steps: int | None, seed: int) -> dict[str, Method]:
    """All by name, the relighter first; ``steps`` None are the embedded model's for the ``quality``."""
    found: dict[str, Method] = dict(zip(MEASURED, relit(relighter, quality, steps, seed), strict=True))
    if isinstance(relighter, Decodes):
        found[DECODER] = decoded(relighter)
    return found | {
        UNCHANGED: lambda source, reference: source,
        "mean colour": mean_colour,
        "Reinhard, log cones": reinhard_cones,
        "Reinhard, Lab": reinhard_lab,
        "histogram matching": histograms,
    }


def to_square(picture: Tensor, size: int) -> Tensor:
    """A picture (S, S, 3) as the relighter takes it: (3, size, size)."""
    planes = picture.permute(2, 0, 1)
    if planes.shape[-1] == size:
        return planes.contiguous()
    return F.interpolate(planes[None], (size, size), mode="bilinear", antialias=True, align_corners=False)[0]


def from_square(planes: Tensor, size: int) -> Tensor:
    """Planes (3, S', S') of the relighter as (size, size, 3)."""
    planes = planes.float().cpu()
    if planes.shape[-1] != size:
        planes = F.interpolate(planes[None], (size, size), mode="bilinear", align_corners=False)[0]
    return planes.permute(1, 2, 0)


def relit(relighter: Relighter, quality: str, steps: int | None, seed: int) -> tuple[Method, Method]:
    """The source's light times the engine's ratio, as it is and carried along the source's edges, as for any size."""

    # Both are asked about the same pictures one after the other.
    @lru_cache(maxsize=1)
    def ratio_of(source: Tensor, reference: Tensor) -> Tensor:
        target = light_code(to_square(reference, relighter.size), relighter)
        picture = to_square(source, relighter.size)
        return estimate(picture, target, relighter, quality=quality, steps=steps, seed=seed).ratio

    def plain(source: Tensor, reference: Tensor) -> Tensor:
        return lit(source, from_square(ratio_of(source, reference), source.shape[0]))

    def along_edges(source: Tensor, reference: Tensor) -> Tensor:
        parts = carried(ratio_of(source, reference), srgb_eotf(source))
        return lit(source, torch.cat([part.clone() for _, part in parts]))

    return plain, along_edges


def lit(source: Tensor, ratio: Tensor) -> Tensor:
    """A picture whose light is multiplied by exp(``ratio``), both (S, S, 3)."""
    return srgb_oetf((srgb_eotf(source) * ratio.exp()).clamp(0, 1))


def decoded(relighter: Relighter) -> Method:
    """Latent Intrinsics' answer (methods.md §3.2): the source's intrinsics and the reference's code, decoded."""

    def method(source: Tensor, reference: Tensor) -> Tensor:
        assert isinstance(relighter, Decodes)
        code = light_code(to_square(reference, relighter.size), relighter)
        picture = relighter.decode(to_square(source, relighter.size), code)
        return from_square(picture, source.shape[0]).clamp(0, 1)

    return method


def mean_colour(source: Tensor, reference: Tensor) -> Tensor:
    """The source's light times a gain a channel that gives it the reference's mean."""
    light, wanted = srgb_eotf(source), srgb_eotf(reference)
    gain = wanted.mean((0, 1)) / light.mean((0, 1)).clamp(min=_DARKEST)
    return srgb_oetf((light * gain).clamp(0, 1))


def reinhard_cones(source: Tensor, reference: Tensor) -> Tensor:
    """Mean and standard deviation of each channel of lαβ, the decorrelated logarithms of cone responses (2001)."""

    def opponents(picture: Tensor) -> Tensor:
        return (srgb_eotf(picture).clamp(min=_DARKEST) @ _LMS.T).log() @ _LAB.T

    moved = _moments(opponents(source), opponents(reference))
    light = (moved @ torch.linalg.inv(_LAB).T).exp() @ torch.linalg.inv(_LMS).T
    return srgb_oetf(light.clamp(0, 1))


def reinhard_lab(source: Tensor, reference: Tensor) -> Tensor:
    """The same in CIE Lab, which is how most programs do it."""
    moved = _moments(*(torch.from_numpy(rgb2lab(p.numpy())) for p in (source, reference)))
    with warnings.catch_warnings():
        # Colours outside of the gamut are clipped, as they should be.
        warnings.simplefilter("ignore")
        return torch.from_numpy(lab2rgb(moved.numpy())).float().clamp(0, 1)


def histograms(source: Tensor, reference: Tensor) -> Tensor:
    """Each channel's histogram made the reference's."""
    return torch.from_numpy(match_histograms(source.numpy(), reference.numpy(), channel_axis=-1)).float().clamp(0, 1)


def _moments(source: Tensor, reference: Tensor) -> Tensor:
    """(S, S, 3) with mean and standard deviation of each channel made the reference's."""
    means, wanted = source.mean((0, 1)), reference.mean((0, 1))
    scale = reference.std((0, 1)) / source.std((0, 1)).clamp(min=1e-6)
    return (source - means) * scale + wanted
