# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded depth model: one look at a small picture, and a second as in a mirror."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ..optics.exposure import srgb_oetf
from ..weights import opened, parameters
from .answer import Depth
from .network import Answer, DepthConfig, DepthNet, encode, focal_of, input_size
from .refine import carry

WEIGHTS = Path(__file__).resolve().parent / "weights" / "depth_embedded.safetensors"
SCALE_WARNING = "The depth's scale is a guess: measure one known distance, or give a depth map, for true metres."
WIDE_WARNING = "The field of view is uncertain ({0:.0f} ± {1:.0f} degrees); give it if you know the lens."
#: Spread of the field of view, as a share of it, that the artist is told about.
_UNCERTAIN = 0.2
#: Sky takes the whole place of depth from this probability on.
_SKY = 0.5


@lru_cache(maxsize=2)
def load_network(weights: Path = WEIGHTS, device: str = "cpu") -> DepthNet:
    """The network with its trained weights, ready to run; kept in memory until :func:`unload`."""
    otherwise = "Install the extension again, or use --model guess."
    with opened(weights, "depth", missing=otherwise, damaged=otherwise) as file:
        sizes = json.loads(file.metadata()["config"])
        network = DepthNet(DepthConfig(tuple(sizes["widths"]), tuple(sizes["blocks"]), sizes["heads"]))
        network.load_state_dict(parameters(file))
    return network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def unload() -> None:
    """Free the network's memory."""
    load_network.cache_clear()


class EmbeddedDepth:
    """A :class:`.answer.DepthModel` on the weights that ship."""

    def __init__(self, device: str = "cpu", weights: Path = WEIGHTS) -> None:
        self.device, self.weights = device, weights

    def estimate(self, radiance: Tensor, fov_x_deg: float | None) -> Depth:
        """See :class:`.answer.DepthModel`. Scale and exposure of the metres are the network's guess."""
        picture = srgb_oetf(radiance.clamp(0, 1))
        height, width = picture.shape[:2]
        wide, high = input_size(width, height)
        small = F.interpolate(picture.movedim(-1, 0)[None], (high, wide), mode="area")
        aspect, warnings, spread = width / height, [SCALE_WARNING], 0.0
        if fov_x_deg is None:
            focal, deviation = (float(m) for m in focal_of(self._look(small, None).focal))
            fov_x_deg, spread = _degrees(focal, aspect), _spread(focal, deviation, aspect)
            if spread > _UNCERTAIN * fov_x_deg:
                warnings.append(WIDE_WARNING.format(fov_x_deg, spread))
        slope = math.tan(math.radians(fov_x_deg) / 2)
        # Depth and lens belong together: the second look knows the lens that the first one found.
        answer = self._look(small, torch.tensor([[slope, slope / aspect]]))
        sky_chance = answer.sky[0].sigmoid()
        sky = carry(sky_chance, picture).clamp(0, 1)
        log_depth = carry(answer.shape[0], picture, (1 - sky_chance) ** 2) + float(answer.scale)
        depth = torch.where(sky > _SKY, torch.inf, log_depth.exp())
        return Depth(depth, fov_x_deg, spread, sky, True, "embedded", warnings, answer.up[0])

    @torch.inference_mode()
    def _look(self, small: Tensor, slopes: Tensor | None) -> Answer:
        """The network's answer to display values (1, 3, H, W), the mean of the picture's and its mirror image's."""
        pair = torch.cat([small, small.flip(-1)])
        known = torch.full((2,), float(slopes is not None))
        lens = torch.zeros(2, 2) if slopes is None else slopes.expand(2, -1)
        channels = encode(pair, lens, known).to(self.device, memory_format=torch.channels_last)
        said = load_network(self.weights, self.device)(channels)
        shape, sky, scale, focal, up = (part.float().cpu() for part in said)
        up = F.normalize(up[:1] + up[1:] * up.new_tensor([-1.0, 1.0, 1.0]), dim=-1)
        shape, sky = ((maps[:1] + maps[1:].flip(-1)) / 2 for maps in (shape, sky))
        return Answer(shape, sky, scale.mean(0, keepdim=True), focal.mean(0, keepdim=True), up)


def _degrees(focal: float, aspect: float) -> float:
    """Horizontal field of view from the log focal length over √area."""
    return math.degrees(2 * math.atan(0.5 * math.sqrt(aspect) / math.exp(focal)))


def _spread(focal: float, deviation: float, aspect: float) -> float:
    return (_degrees(focal - deviation, aspect) - _degrees(focal + deviation, aspect)) / 2
