# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface of every form of LumiNet, and what one relighting is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

#: Numbers of a light code (Latent Intrinsics): a unit vector that holds a picture's light and nothing of its scene.
CODE = 16


@dataclass(frozen=True, eq=False)
class Relit:
    """Candidates for a picture under another light.

    ratio: (N, 3, S, S) natural logarithm of relit over source radiance, linear Rec.709. codes: (N, 16) the light that
    each candidate shows when it is encoded again.
    """

    ratio: Tensor
    codes: Tensor


class Relighter(Protocol):
    """What encodes and changes the light of square pictures: display values (3, S, S) in [0, 1], S = :attr:`size`."""

    #: Pixels a side of the pictures it works on.
    size: int

    def light_codes(self, pictures: Tensor) -> Tensor:
        """The light of pictures (N, 3, S, S): unit vectors (N, 16)."""

    def relight(
        self,
        picture: Tensor,
        code: Tensor,
        *,
        steps: int,
        seeds: Sequence[int],
        progress: Callable[[float], None] | None = None,
    ) -> Relit:
        """A picture (3, S, S) under the light of ``code`` (16,), once a seed; ``progress`` may raise to cancel."""
