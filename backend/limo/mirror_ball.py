# SPDX-License-Identifier: GPL-3.0-or-later
"""From photographs of a mirror ball, and of a white ball if there is one, to an HDR environment."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ...bridge.messages import NOTE
from ..errors import BadInput
from ..optics import exr
from ..optics import panorama as pano
from ..optics.camera import Camera
from ..optics.exposure import expose
from ..optics.photo import Photo, read_photo
from ..optics.sphere import FILL, SphereView
from .fit import Bracket, fit_brackets
from .merge import merge_bracket

#: A ball photographed from "far away" stands this many radii off: rays almost parallel, numbers still exact.
_FAR = 30.0
#: Pixels across which the balls are resampled at most, and the fewest that are worth fitting.
_LARGEST, _SMALLEST = 128, 16
#: Balls whose darkest picture has more of its pixels clipped than this earn a warning.
_CLIPPED_SHARE = 0.001
_EV_RANGE = 30.0
#: Pixels at the ball's outline that are not trusted.
_RIM = 1.5


class Report(Protocol):
    """What the fit needs of a job's report."""

    def progress(self, fraction: float, stage: str) -> None:
        """Fraction done in [0, 1] and what is being done."""

    def check(self) -> None:
        """Raise when the job is to stop."""


@dataclass(frozen=True)
class Shot:
    """One photograph and its exposure in EV: 0 shows radiance 1 as display white, −3 is three stops darker."""

    path: Path
    ev: float


@dataclass(frozen=True)
class Circle:
    """Where the ball is in the picture: centre and radius in pixels from the top-left corner."""

    x: float
    y: float
    radius: float


def parse_shot(text: str) -> Shot:
    """Read ``FILE@EV``, e.g. ``ball_dark.jpg@-6``; without ``@EV`` the exposure is 0."""
    name, at, exposure = text.rpartition("@")
    if not at:
        return Shot(Path(text), 0.0)
    try:
        ev = float(exposure)
    except ValueError as error:
        if Path(text).exists():  # a file whose own name has an @
            return Shot(Path(text), 0.0)
        raise BadInput(
            f"'{text}' names no exposure: '{exposure}' is not a number.", "Write FILE@EV, e.g. ball.jpg@-3."
        ) from error
    if not name or not math.isfinite(ev) or abs(ev) > _EV_RANGE:
        raise BadInput(f"'{text}' has no file or an exposure beyond ±{_EV_RANGE:g} EV.", "Write e.g. ball.jpg@-3.")
    return Shot(Path(name), ev)


def fit_files(
    mirror: Sequence[Shot],
    diffuse: Sequence[Shot],
    out: Path,
    *,
    height: int = 256,
    report: Report | None = None,
    circle: Circle | None = None,
    fov_deg: float | None = None,
    albedo: float = 1.0,
    reflectance: float = 1.0,
) -> dict[str, Any]:
    """Fit an environment to photographs of balls and write it to ``out`` as an EXR in the camera frame.

    The ball is where ``circle`` says, else where the pictures' alpha is, else it touches all sides of a square crop.
    ``fov_deg`` is the horizontal field of view of the whole picture; without it the ball counts as seen from far away.
    ``albedo`` of the diffuse ball and ``reflectance`` of the mirror are divided out. Raises :class:`BadInput` for
    pictures that do not belong together. Returns what ``--json`` prints.
    """
    started = time.monotonic()
    _check_request(mirror, diffuse, out, albedo, reflectance)
    warnings: list[str] = []
    balls: list[tuple[Bracket, SphereView] | None] = []
    size = _common_size([mirror, diffuse], circle, fov_deg)
    for kind, shots, share in (("mirror", mirror, reflectance), ("diffuse", diffuse, albedo)):
        balls.append(_read_ball(kind, shots, share, size, circle, fov_deg, warnings) if shots else None)
        if report:
            report.check()
    panorama = _fit_balls(balls[0], balls[1], height, report)
    settings = {
        **{"height": height, "circle": circle and vars(circle), "fov_deg": fov_deg, "albedo": albedo},
        **{"reflectance": reflectance, "mirror": [_told(shot) for shot in mirror]},
        **{"diffuse": [_told(shot) for shot in diffuse], "out": str(out.resolve())},
    }
    exr.write_panorama(out, panorama, frame="camera", header={NOTE: json.dumps(settings)})
    if report:
        report.progress(1.0, "Done")
    return {
        "environment": str(out),
        "frame": "camera",
        "height": height,
        "mirror": [[str(shot.path), shot.ev] for shot in mirror],
        "diffuse": [[str(shot.path), shot.ev] for shot in diffuse],
        "mean_radiance": pano.mean_radiance(panorama).tolist(),
        "peak_radiance": float(panorama.max()),
        "warnings": warnings,
        "seconds": round(time.monotonic() - started, 3),
    }


def _check_request(
    mirror: Sequence[Shot], diffuse: Sequence[Shot], out: Path, albedo: float, reflectance: float
) -> None:
    """Refuse what cannot be fitted or written, before any picture is read."""
    if not mirror and not diffuse:
        raise BadInput(
            "No picture of a ball was given.", "Give --mirror FILE@EV and, if you have one, --diffuse FILE@EV."
        )
    if out.suffix.lower() != ".exr":
        raise BadInput(f"The environment {out.name} is not an EXR file.", "Name it e.g. env.exr.")
    for name, value in (("albedo", albedo), ("reflectance", reflectance)):
        if not 0.01 <= value <= 1:
            raise BadInput(f"The {name} is {value:g}.", "Give a share of light between 0.01 and 1.")


def _fit_balls(
    mirror: tuple[Bracket, SphereView] | None,
    diffuse: tuple[Bracket, SphereView] | None,
    height: int,
    report: Report | None,
) -> Tensor:
    """The environment (height, 2·height, 3) that explains the balls, each where it stands."""

    def tell(fraction: float) -> None:
        if report:
            report.check()
            report.progress(0.1 + 0.85 * fraction, "Fitting the light")

    (mirror_shots, view), (diffuse_shots, lit) = mirror or (None, None), diffuse or (None, None)
    first = view or lit
    assert first is not None
    return fit_brackets(first, mirror_shots, diffuse_shots, height=height, progress=tell, diffuse_view=lit)


def _told(shot: Shot) -> tuple[str, float]:
    return str(shot.path.resolve()), shot.ev


def _common_size(groups: Sequence[Sequence[Shot]], circle: Circle | None, fov_deg: float | None) -> int:
    """Pixels across at which both balls are resampled, from the first picture named."""
    first = next(shots[0] for shots in groups if shots)
    photo = read_photo(first.path)
    diameter = 2 * _find_circle(photo, first.path.name, circle, fov_deg).radius
    if diameter < _SMALLEST:
        raise BadInput(f"The ball is {diameter:.0f} pixels wide.", f"Use pictures with at least {_SMALLEST} pixels.")
    return min(_LARGEST, 2 * math.ceil(diameter / 2))


def _read_ball(
    kind: str,
    shots: Sequence[Shot],
    share: float,
    size: int,
    circle: Circle | None,
    fov_deg: float | None,
    warnings: list[str],
) -> tuple[Bracket, SphereView]:
    exposures = [shot.ev for shot in shots]
    if len(set(exposures)) < len(exposures):
        raise BadInput(
            f"Two {kind} pictures have the same exposure ({', '.join(f'{ev:g}' for ev in exposures)} EV).",
            "Give each picture its own EV, e.g. light.jpg@0 dark.jpg@-4.",
        )
    photos = [read_photo(shot.path) for shot in shots]
    sizes = {tuple(photo.radiance.shape[:2]) for photo in photos}
    if len(sizes) > 1:
        listed = ", ".join(f"{w}×{h}" for h, w in sorted(sizes))
        raise BadInput(f"The {kind} pictures have different sizes: {listed}.", "Crop all exposures alike.")
    place = _find_circle(photos[0], shots[0].path.name, circle, fov_deg)
    height, width = photos[0].radiance.shape[:2]
    camera = _camera(width, height, place, fov_deg)
    view = _sphere_view(camera, place, size)
    pictures, evs = [], []
    for shot, photo in zip(shots, photos, strict=True):
        warnings += [f"{shot.path.name}: {text}" for text in photo.warnings]
        # A floating point picture can hold more than display white: it is a bracket by itself.
        peak = float(photo.radiance.max())
        for step in range(1 + (math.ceil(math.log2(peak) / 3) if peak > 1.001 else 0)):
            pictures.append(expose(photo.radiance, -3 * step))
            evs.append(shot.ev - 3 * step)
    # Merged before it is resampled: an average of clipped and unclipped pixels would look unclipped, and too dark.
    crop = _resample(merge_bracket(torch.stack(pictures), evs)[0], camera, view, place.radius)
    # A ball that returns a share of the light is the picture of a white one at a lower exposure.
    bracket = Bracket(torch.stack([expose(crop, ev) for ev in evs]), tuple(ev + math.log2(share) for ev in evs))
    _check_light(kind, bracket, view.mask, warnings)
    return bracket, view


def _check_light(kind: str, bracket: Bracket, mask: Tensor, warnings: list[str]) -> None:
    on_ball = bracket.pictures[:, mask]
    if float(on_ball.max()) <= 2 / 255:
        raise BadInput(f"The {kind} ball is black in every picture.", "Check the files and where the ball is in them.")
    share = float(merge_bracket(on_ball, bracket.evs)[1].any(-1).float().mean())
    if share > 0.9:
        raise BadInput(f"The {kind} ball is overexposed in every picture.", "Add a darker exposure.")
    if share > _CLIPPED_SHARE:
        warnings.append(
            f"{100 * share:.1f} % of the {kind} ball are overexposed even at the darkest: lamps may be too weak."
        )


def _find_circle(photo: Photo, name: str, circle: Circle | None, fov_deg: float | None) -> Circle:
    height, width = photo.radiance.shape[:2]
    if circle is not None:
        inside = 0 <= circle.x <= width and 0 <= circle.y <= height and 0 < circle.radius <= max(width, height)
        if not inside:
            raise BadInput(
                f"The ball at ({circle.x:g}, {circle.y:g}) with radius {circle.radius:g} is not inside {name}.",
                f"Give pixels of a picture of {width}×{height}.",
            )
        return circle
    if photo.alpha is not None and 0 < float((photo.alpha > 0.5).float().mean()) < 0.99:
        if fov_deg is not None:
            return _seen_circle(photo.alpha > 0.5, Camera.from_fov(width, height, fov_deg))
        rows, columns = torch.nonzero(photo.alpha > 0.5).unbind(-1)
        top, bottom = int(rows.min()), int(rows.max()) + 1
        left, right = int(columns.min()), int(columns.max()) + 1
        return Circle((left + right) / 2, (top + bottom) / 2, (bottom - top + right - left) / 4)
    if width != height:
        raise BadInput(
            f"{name} is {width}×{height} pixels, not square.",
            "Crop it to a square that the ball touches on all sides, or make all around the ball transparent.",
        )
    return Circle(width / 2, height / 2, width / 2)


def _seen_circle(mask: Tensor, camera: Camera) -> Circle:
    """The circle of a ball that covers ``mask`` (H, W), an ellipse off the axis: for :func:`_sphere_view`.

    The rays to a ball are a cone; their sum by solid angle lies along its axis, π·sin² of half its angle long.
    """
    rays = camera.rays()[mask].double()
    summed = (rays * -rays[:, 2:] ** 3).sum(0) / (camera.fx * camera.fy)
    sine = float((summed.norm() / math.pi).sqrt().clamp(max=0.999))
    towards = summed / -summed[2]
    u, v = camera.project(towards)[0].tolist()
    return Circle(u * camera.width, v * camera.height, camera.fx * math.tan(math.asin(sine)) * float(towards.norm()))


def _camera(width: int, height: int, place: Circle, fov_deg: float | None) -> Camera:
    if fov_deg is not None:
        return Camera.from_fov(width, height, fov_deg)
    focal = place.radius * math.sqrt(_FAR**2 - 1)
    return Camera(width, height, focal, focal, place.x, place.y)


def _sphere_view(camera: Camera, place: Circle, size: int) -> SphereView:
    """The ball of radius 1 whose outline is the circle, seen from the camera."""
    towards = F.normalize(camera.point(place.x / camera.width, place.y / camera.height, 1.0), dim=0)
    # Off the axis the outline is an ellipse; the circle's radius is taken for what lies across from its centre.
    distance = float(camera.point(place.x / camera.width, place.y / camera.height, 1.0).norm())
    sine = math.sin(math.atan(place.radius / camera.fx / distance))
    return SphereView(towards / sine, 1.0, size)


def _resample(radiance: Tensor, camera: Camera, view: SphereView, radius: float, supersample: int = 3) -> Tensor:
    """The picture (H, W, 3) as the close-up of ``view`` sees it: (S, S, 3) linear, averaged over each pixel.

    The outermost pixels of the ball, ``radius`` wide in the picture, are mixed with what is behind it; those just
    inside stand for them.
    """
    across = (torch.arange(view.size * supersample) + 0.5) / (view.size * supersample) - 0.5
    offset = torch.stack(torch.meshgrid(across, across, indexing="xy"), -1)
    limit = FILL / 2 * max(1 - _RIM / radius, 0.5)
    inside = 0.5 + offset * (limit / offset.norm(dim=-1, keepdim=True).clamp(min=1e-6)).clamp(max=1)
    uv, _ = camera.project(view.rays_through(*inside.unbind(-1)))
    grid = (uv * 2 - 1)[None]
    source = radiance.permute(2, 0, 1)[None]
    found = F.grid_sample(source, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return F.avg_pool2d(found, supersample)[0].permute(1, 2, 0).clamp(min=0)
