# SPDX-License-Identifier: GPL-3.0-or-later
"""What hangs over a face in a photo: hair, glasses, hands, hats, and background where the fit is a little off.

No skin colour is assumed. Cheeks and nose, which are seldom covered, tell this face's colour and the light on it
(:mod:`.photometric`); what differs from that by far more than skin does, and hangs together with the outer edge of what
is seen, is taken for something else. Brows, lips, moles and highlights differ too, but lie amid skin and stay; lashes
and what else is strange at the eyes' rims goes, for a texture has no eyes.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ..optics.exposure import luminance
from . import photometric

#: The middle of the face in UV: centre and half axes of an ellipse, v upwards.
_CORE = ((0.5, 0.43), (0.17, 0.15))
#: The eyes with their lids in UV, likewise.
_EYES = (((0.41, 0.565), (0.055, 0.045)), ((0.59, 0.565), (0.055, 0.045)))
#: Standard deviations at which a texel is as likely something else as skin.
_LIMIT = 3.0
#: Least usual differences of skin from its shading: of brightness darker and brighter, of colour (natural logarithms),
#: and of the texture's strength.
_DARKER, _BRIGHTER, _CHROMA, _ROUGH = 0.28, 0.2, 0.075, 0.5
#: What a gloss adds at most, as a part of the light.
_GLOSS = 0.2
#: Linear values below this have no colour worth comparing.
_NOISE = 0.003
#: Usual difference of colour that noise and few bits make at a linear value of 1; it grows as the value falls.
_COLOUR_NOISE = 0.0012
#: Part of what is seen that a patch amid the skin may have at most, if it is darker or of another colour.
_LARGEST_PATCH = 0.03
#: Where spectacles can be, likewise, and the part of both eyes' surroundings that is covered from outside if they are.
_SPECTACLES, _COVERED = ((0.5, 0.5), (0.2, 0.14)), 0.25
#: The logarithm of brightness by which a rim is darker than the skin about it.
_RIM = 0.16
_ROUNDS = 4


def free_skin(colour: Tensor, normal: Tensor, usable: Tensor) -> Tensor:
    """(R, R) bool: which ``usable`` (R, R) texels of linear ``colour`` and unit ``normal`` (both 3, R, R) show skin."""
    core = _ellipse(len(usable), *_CORE) & usable
    if int(core.sum()) < 50:
        return usable
    free = usable & (_blurred(core.float(), len(usable) / 12) > 0.05)
    for _ in range(_ROUNDS):
        odd = _strangeness(colour, normal, usable, core & free if bool((core & free).any()) else core, free)
        free = _joined(odd, usable, core)
    left = free & ~_rims(luminance(colour.permute(1, 2, 0)), usable, free)
    # Splinters between a rim and a lash tell little and may be either.
    labels, count = ndimage.label(left.numpy())
    splinter = np.bincount(labels.ravel(), minlength=count + 1) < (len(usable) / 24) ** 2
    return left & ~torch.from_numpy(splinter[labels])


def _ellipse(size: int, centre: tuple[float, float], axes: tuple[float, float]) -> Tensor:
    """(S, S) bool: an ellipse in UV, ``centre`` and half ``axes`` along u and v."""
    place = (torch.arange(size) + 0.5) / size
    (u, v), (across, up) = centre, axes
    return (((place[None, :] - u) / across) ** 2 + ((1 - place[:, None] - v) / up) ** 2) < 1


def _strangeness(colour: Tensor, normal: Tensor, usable: Tensor, core: Tensor, free: Tensor) -> Tensor:
    """(R, R) ≥ 0: how many standard deviations each texel is from skin, NaN-free, signless."""
    samples, normals = colour.permute(1, 2, 0), normal.permute(1, 2, 0)
    trust = torch.where(core, 1.0, 0.25)[free]
    fitted = photometric.fit_light(samples[free], normals[free], trust)
    expected = fitted.shade(normals)
    samples = _dulled(samples, expected, (expected / fitted.albedo)[core].mean(0))
    bright, pale = luminance(samples), luminance(expected)
    level = ((bright + _NOISE) / (pale + _NOISE)).log()
    ratio = (samples + _NOISE).log() - (expected + _NOISE).log()
    chroma = torch.stack([ratio[..., 0] - ratio[..., 1], ratio[..., 2] - ratio[..., 1]], -1)
    # What is almost black has no colour to tell.
    noise = (_COLOUR_NOISE / (bright + _NOISE))[..., None]
    middle = chroma[core].median(0).values
    spread = (1.4826 * (chroma[core] - middle).abs().median(0).values).clamp(min=_CHROMA)
    tint = (((chroma - middle) / (spread + noise)) ** 2).sum(-1)
    level = level - level[core].median()
    usual = max(1.4826 * float(level[core].abs().median()), 0.05)
    dark, light = max(_DARKER, 1.5 * usual), max(_BRIGHTER, 1.5 * usual)
    shift = torch.where(level < 0, level / dark, level / light) ** 2
    rough = _roughness(bright, usable)
    grain = ((rough - rough[core].median()) / _ROUGH).clamp(min=0) ** 2
    return (tint + shift + grain).sqrt()


def _dulled(samples: Tensor, expected: Tensor, light: Tensor) -> Tensor:
    """The colours (R, R, 3) less what a gloss in the colour of the ``light`` (3,) can have added to the ``expected``.

    A gloss adds as much to dark skin as to light skin: as a ratio it would rule the highlights of dark skin out.
    """
    added = ((samples - expected) / light.clamp(min=1e-4)).amin(-1, keepdim=True)
    return samples - added.clamp(0, _GLOSS) * light


def _roughness(bright: Tensor, usable: Tensor) -> Tensor:
    """(R, R): logarithm of how much the logarithm of brightness varies within a few texels."""
    weight = usable.float()
    value = (bright + _NOISE).log() * weight
    size = len(bright) / 128
    share = _blurred(weight, size).clamp(min=1e-3)
    mean = _blurred(value, size) / share
    square = _blurred(value * value, size) / share
    return ((square - mean**2).clamp(min=0).sqrt() + 0.02).log()


def _joined(odd: Tensor, usable: Tensor, core: Tensor) -> Tensor:
    """Skin as one piece about the core: what is strange and joins the outer edge goes, what lies amid skin stays."""
    size = len(usable)
    weight = usable.float()
    doubt = _blurred(torch.tanh(odd / _LIMIT - 1) * weight, size / 170) / _blurred(weight, size / 170).clamp(min=1e-3)
    skin = ((doubt < 0) & usable).numpy()
    skin = ndimage.binary_opening(skin, iterations=max(1, round(size / 128)))
    labels, count = ndimage.label(skin)
    if count == 0:
        return core
    inside = np.bincount(labels[core.numpy()], minlength=count + 1)
    inside[0] = 0
    piece = labels == inside.argmax()
    # The eyes' and the mouth's openings are holes in what is usable, not its outer edge; and a brow's end is near the
    # edge of what is seen, but not a way in from there.
    reach = max(1, round(size / 64))
    closed = ndimage.binary_closing(np.pad(piece, 2 * reach), iterations=reach)[
        2 * reach : -2 * reach, 2 * reach : -2 * reach
    ]
    whole = ndimage.binary_opening(ndimage.binary_fill_holes(closed), iterations=reach)
    patches, count = ndimage.label(whole & ~piece & usable.numpy())
    sizes = np.bincount(patches.ravel(), minlength=count + 1)
    large = sizes > _LARGEST_PATCH * float(usable.sum())
    large[0] = False
    kept = whole & usable.numpy() & ~large[patches]
    for eye in _EYES:
        kept &= ~((patches > 0) & _ellipse(size, *eye).numpy())
    return torch.from_numpy(kept)


def _rims(bright: Tensor, usable: Tensor, free: Tensor) -> Tensor:
    """(R, R) bool: rims of spectacles, if both eyes show that there are any: long dark lines, else much like skin."""
    size = len(usable)
    whole = torch.from_numpy(ndimage.binary_fill_holes(free.numpy()))
    for eye in _EYES:
        around = _ellipse(size, *eye) & usable
        if not float((around & ~whole).sum()) > _COVERED * float(around.sum()):
            return torch.zeros_like(usable)
    level = (bright + _NOISE).log().numpy()
    dark = ndimage.median_filter(level, round(size / 20)) - level > _RIM
    labels, count = ndimage.label(dark & _ellipse(size, *_SPECTACLES).numpy(), np.ones((3, 3)))
    # Specks are pores and lashes.
    long = np.bincount(labels.ravel(), minlength=count + 1) > size / 8
    long[0] = False
    return torch.from_numpy(ndimage.binary_dilation(long[labels], iterations=max(1, round(size / 256))))


def _blurred(picture: Tensor, sigma: float) -> Tensor:
    return torch.from_numpy(ndimage.gaussian_filter(picture.numpy(), sigma, mode="constant"))
