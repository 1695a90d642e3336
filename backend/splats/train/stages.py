# SPDX-License-Identifier: GPL-3.0-or-later
"""The four stages, how an iterations' budget is shared among them, and how fast what is learnt in each."""

from __future__ import annotations

from dataclasses import dataclass

_GEOMETRY = ("means", "quats", "scales", "opacity")
_RADIANCE = ("sh_base", "sh_rest")
_SPECULAR = ("albedo", "roughness", "progress", "environment")


@dataclass(frozen=True)
class Stage:
    """``weight``: its part of the budget, thousands of iterations of the full schedule. ``learnt``: what moves.

    ``physical``: materials and light are drawn; ``diffuse``: metallic is free, diffuse light and visibility are there.
    ``dense``: Gaussians are added and removed.
    """

    name: str
    weight: float
    learnt: tuple[str, ...]
    physical: bool
    diffuse: bool
    dense: bool


STAGES = (
    Stage("radiance", 30, (*_GEOMETRY, *_RADIANCE), False, False, True),
    Stage("specular", 30, (*_GEOMETRY, *_RADIANCE, *_SPECULAR), True, False, True),
    Stage("diffuse", 10, (*_GEOMETRY, *_RADIANCE, *_SPECULAR, "metallic"), True, True, False),
    Stage("joint", 5, (*_GEOMETRY, *_RADIANCE, *_SPECULAR, "metallic"), True, True, False),
)
#: Iterations of the full schedule (methods.md §5.3).
FULL = 75_000
#: Learning rates of Adam at the full schedule; 3DGS' for radiance, means' in units of the scene's extent.
_RATES = {"means": 1.6e-4, "quats": 1e-3, "scales": 5e-3, "opacity": 5e-2, "sh_base": 2.5e-3, "sh_rest": 1.25e-4,
          "albedo": 1e-2, "roughness": 1e-2, "metallic": 1e-2, "progress": 6e-3, "environment": 1e-2}  # fmt: skip
#: Means slow down to this part over the first stage; later they go on at the geometric middle.
_SLOWEST = 0.01
_JOINT_PROGRESS = 0.3
#: Materials and light come to rest: down to this part of their rates over the last stage.
_REST, _RESTING = 0.1, ("albedo", "metallic", "roughness", "progress", "environment")
#: Once diffuse light is there, raw radiance follows slowly in a long budget: it would explain all sooner than materials
#: can. In a short one it is held to the photos by itself.
_RAW_LATER = 0.2
#: Below this many iterations later stages get a larger part: what they learn has a way to go from where it starts.
_SHORT, _SHORT_WEIGHTS = 20_000, (30.0, 20.0, 30.0, 20.0)
#: A short budget goes in longer steps, up to so many times; opacity's are long already, and texels of light that are
#: seen now and then are moved far by Adam each time.
_MOST_HASTE, _MOST_OF = 5.0, {"opacity": 1.0, "environment": 2.0}
#: What has to come from one end of its range to the other goes so far in a stage of any budget, in up to so much longer
#: steps; where there is time for it they are the full schedule's, since what moves fast never settles.
_FAR, _WAY, _MOST_FAR = ("albedo", "metallic", "roughness", "progress"), 10.0, 8.0


@dataclass(frozen=True)
class Variant:
    """The method, or what is left of it when a benchmark takes a part away to see what it is worth.

    ``shares`` of the stages instead of the usual; ``progress`` held at a value; whether mirrors ``spread`` and dull
    colours are sabotaged, whether light is ``hidden`` from where it cannot reach, whether the progress is ``pushed``,
    whether normals are held to the ``slope`` of the depth; whether a short budget has metals ``told`` by the photos,
    hands raw colours ``over``, and keeps surfaces ``even``, inside their masks and at last at rest.
    """

    shares: tuple[float, float, float, float] | None = None
    progress: float | None = None
    spread: bool = True
    hidden: bool = True
    pushed: bool = True
    slope: bool = True
    told: bool = True
    over: bool = True
    even: bool = True


#: By name. "full" is the method; "plain" is 3D Gaussian Splatting, with the same budget.
VARIANTS = {
    "full": Variant(),
    "plain": Variant(shares=(1.0, 0.0, 0.0, 0.0), slope=False, told=False, over=False, even=False),
    "undistilled": Variant(progress=1.0),
    "no specular stage": Variant(shares=(30.0, 0.0, 50.0, 20.0)),
    "no spreading": Variant(spread=False),
    "no visibility": Variant(hidden=False),
    "no push": Variant(pushed=False),
    "no slope": Variant(slope=False),
    "no telling metals": Variant(told=False),
    "no handing over": Variant(over=False),
    "no evenness": Variant(even=False),
}


@dataclass(frozen=True)
class Place:
    """Where in the schedule an iteration is: its ``stage``, the ``step`` within it, of ``steps``."""

    stage: Stage
    number: int
    step: int
    steps: int

    @property
    def fraction(self) -> float:
        """0..1 within the stage."""
        return self.step / self.steps


class Schedule:
    """The stages of a budget of ``iterations``; without ``radiance`` a finished cloud is where it starts."""

    def __init__(self, iterations: int, radiance: bool = True, variant: Variant = VARIANTS["full"]) -> None:
        usual = _SHORT_WEIGHTS if iterations < _SHORT else tuple(stage.weight for stage in STAGES)
        weights = list(variant.shares or usual)
        if not radiance:
            weights[0] = 0.0
        total, edge, self.bounds = sum(weights), 0.0, [0]
        for weight in weights:
            edge += weight
            self.bounds.append(round(iterations * edge / total))
        self.iterations, self.variant = iterations, variant

    @property
    def short(self) -> bool:
        """Whether there are too few iterations for what the full schedule leaves to time."""
        return self.iterations < _SHORT

    def steps(self, number: int) -> int:
        """Iterations of a stage."""
        return self.bounds[number + 1] - self.bounds[number]

    def at(self, step: int) -> Place:
        """The place of an iteration, 0 … iterations − 1."""
        number = next(n for n in range(len(STAGES)) if step < self.bounds[n + 1])
        return Place(STAGES[number], number, step - self.bounds[number], self.steps(number))

    def haste(self, place: Place) -> float:
        """How much longer steps are than those of the full schedule."""
        return min(_MOST_HASTE, max(1.0, self._shorter(place) ** 0.5))

    @staticmethod
    def _shorter(place: Place) -> float:
        return place.stage.weight * 1000 / place.steps

    def interval(self, place: Place, full: int, least: int) -> int:
        """An interval of the full schedule at this budget, in iterations."""
        return max(least, round(full * place.steps / (place.stage.weight * 1000)))

    def rates(self, place: Place, extent: float) -> dict[str, float]:
        """Learning rates by name, of what is learnt in this stage."""
        haste = self.haste(place)
        found = {name: _RATES[name] * min(haste, _MOST_OF.get(name, haste)) for name in place.stage.learnt}
        found |= {
            name: _RATES[name] * min(_MOST_FAR, max(1.0, _WAY / (_RATES[name] * place.steps)))
            for name in _FAR
            if name in found
        }
        first = not place.stage.physical
        found["means"] *= extent * _SLOWEST ** (place.fraction if first else 0.5)
        if place.stage.diffuse:
            later = 1.0 if self.short else _RAW_LATER
            found |= {name: later * _RATES[name] for name in _RADIANCE}
        if place.stage.name == "joint":
            found["progress"] *= _JOINT_PROGRESS
            found |= {name: found[name] * _REST**place.fraction for name in _RESTING}
        if place.stage.diffuse and self.short and self.variant.even:
            # So many views, each of which pulls at normals; a mirror shows every turn of them.
            gone = self.bounds[place.number] + place.step - self.bounds[2]
            found |= {name: found[name] * _REST ** (gone / (self.iterations - self.bounds[2])) for name in _GEOMETRY}
        if self.variant.progress is not None:
            found.pop("progress", None)
        return found
