# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire's grammar: what goes in comes out, everything else is refused with a sentence."""

from __future__ import annotations

import json

import pytest
from limelight.bridge import messages as m

EVERY = [
    m.Request("1", "light", {"probes": [{"u": 0.5}], "out": "C:\\Büro\\"}), m.Cancel("1"), m.Unload(), m.Ping(),
    m.Shutdown(), m.Ready(["light"], 7), m.Accepted("1"), m.Progress("1", 0.25, "Painting"),
    m.Progress("1", 0.5, "Painting\nspheres", 3.5), m.Preview("1", "/a b/ü.png"), m.Log("1", "line\u2028separator"),
    m.Result("1", {"probes": []}), m.Error("1", "bad_input", "Too dark.", "Add light."), m.Heartbeat(),
]  # fmt: skip


@pytest.mark.parametrize("message", EVERY, ids=lambda message: message.type)
def test_round_trip_in_one_line(message: m.Message) -> None:
    line = m.encode(message)
    assert line.endswith("\n") and len(line.splitlines()) == 1 and line.isascii()
    assert json.loads(line)["version"] == m.VERSION
    assert m.decode(line) == message


def test_every_type_is_tried() -> None:
    assert {message.type for message in EVERY} == set(m._TYPES)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "not JSON"),
        ("garbage\n", "not JSON"),
        ("[1, 2]", "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"version": 1, "type": "ping", "x": ' + "9" * 5000 + "}", "not JSON"),
        ('{"type": "ping"}', "another version"),
        ('{"version": 2, "type": "ping"}', "another version"),
        ('{"version": 1, "type": "dance"}', "unknown type 'dance'"),
        ('{"version": 1, "type": []}', "unknown type"),
        ('{"version": 1, "type": "cancel"}', "lacks id"),
        ('{"version": 1, "type": "cancel", "id": 3}', "malformed id"),
        ('{"version": 1, "type": "cancel", "id": "a", "why": 1}', "unknown fields"),
        ('{"version": 1, "type": "request", "id": "a", "kind": "fit", "params": []}', "malformed params"),
        ('{"version": 1, "type": "progress", "id": "a", "fraction": true, "stage": ""}', "malformed fraction"),
        ('{"version": 1, "type": "progress", "id": "a", "fraction": NaN, "stage": ""}', "not JSON"),
        ('{"version": 1, "type": "ready", "kinds": [1], "pid": 1}', "malformed kinds"),
        ("x" * (m.LONGEST_LINE + 1), "at most"),
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(line: str, why: str) -> None:
    with pytest.raises(m.MessageError, match=why):
        m.decode(line)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), "x" * m.LONGEST_LINE])
def test_what_json_cannot_hold_is_not_sent(value: object) -> None:
    with pytest.raises(m.MessageError):
        m.encode(m.Result("1", {"value": value}))


def test_a_face_request_leaves_what_is_unknown_to_the_engine() -> None:
    asked = m.FaceParams("me.jpg", "head", quality="draft", landmarks=[[0.5, 0.5]])
    told = {"image": "me.jpg", "out": "head", "quality": "draft", "landmarks": [[0.5, 0.5]], "model": "embedded"}
    assert asked.kind == "face" and asked.params == told
