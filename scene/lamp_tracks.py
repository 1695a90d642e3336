# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the lights found in one frame is which of the next: lamps that live on from frame to frame."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: A light may be this far, in degrees, from where it was seen last to be the same; a wide one half its width.
_REACH = 25.0
#: How many degrees one stop of difference in strength counts.
_STOP = 4.0
Entry = Mapping[str, Any]


@dataclass
class LampTrack:
    """One light over the frames: what was found of it by index of the frame; where there is nothing, it is dark."""

    found: dict[int, Entry] = field(default_factory=dict)

    @property
    def last(self) -> Entry:
        """What was found of it last."""
        return self.found[max(self.found)]

    @property
    def kind(self) -> str:
        """Sun or area: what it was in most frames."""
        return Counter(str(entry["kind"]) for entry in self.found.values()).most_common(1)[0][0]

    def directions(self, count: int) -> list[tuple[float, ...]]:
        """Unit vectors towards it in each of ``count`` frames; where it was not seen, those next to that frame."""
        known = sorted(self.found)
        nearest = (min(known, key=lambda k, i=i: abs(k - i)) for i in range(count))  # type: ignore[misc]
        return [_unit(self.found[k]["direction"]) for k in nearest]

    def angles(self, count: int) -> list[float]:
        """Its diameter in degrees in each frame, as :meth:`directions`."""
        known = sorted(self.found)
        return [float(self.found[min(known, key=lambda k, i=i: abs(k - i))]["angle_deg"]) for i in range(count)]  # type: ignore[misc]

    def irradiances(self, count: int) -> list[tuple[float, ...]]:
        """RGB irradiance on a surface that faces it in each frame; zero where it was not found."""
        return [tuple(map(float, self.found[i]["irradiance"])) if i in self.found else (0.0,) * 3 for i in range(count)]


def follow(frames: Sequence[Sequence[Entry]]) -> list[LampTrack]:
    """The lights of all frames joined, nearest first; a light that went out may come back where it was.

    ``frames`` holds each frame's ``lamps`` as result.json has them: kind, direction, irradiance, angle_deg.
    """
    tracks: list[LampTrack] = []
    for index, entries in enumerate(frames):
        pairs = sorted(_pairs(tracks, entries))
        taken_tracks: set[int] = set()
        taken_entries: set[int] = set()
        for _cost, track, entry in pairs:
            if track not in taken_tracks and entry not in taken_entries:
                tracks[track].found[index] = entries[entry]
                taken_tracks.add(track)
                taken_entries.add(entry)
        fresh = (entry for number, entry in enumerate(entries) if number not in taken_entries)
        tracks += [LampTrack({index: entry}) for entry in fresh]
    return sorted(tracks, key=lambda t: -sum(max(e["irradiance"]) for e in t.found.values()))


def _pairs(tracks: Sequence[LampTrack], entries: Sequence[Entry]) -> Iterator[tuple[float, int, int]]:
    for t, track in enumerate(tracks):
        before = track.last
        for e, entry in enumerate(entries):
            apart = between(before["direction"], entry["direction"])
            reach = max(_REACH, float(before["angle_deg"]) / 2, float(entry["angle_deg"]) / 2)
            if apart <= reach:
                yield apart + _STOP * abs(_stops(before) - _stops(entry)), t, e


def _stops(entry: Entry) -> float:
    return math.log2(max(*entry["irradiance"], 1e-9))


def _unit(vector: Sequence[float]) -> tuple[float, ...]:
    length = math.hypot(*vector) or 1.0
    return tuple(float(v) / length for v in vector)


def between(a: Sequence[float], b: Sequence[float]) -> float:
    """Degrees between two directions."""
    return math.degrees(math.acos(max(-1.0, min(1.0, sum(x * y for x, y in zip(_unit(a), _unit(b), strict=True))))))
