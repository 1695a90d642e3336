# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the engine: speaks the wire, answers requests with prepared files after a while.

It is copied to ``ROOT/bridge/launch.py`` of a folder that the tests give as the engine's root. ``ROOT/behaviour.json``
says how it acts: ``seconds`` a job takes, ``fail`` an error's [text, remedy], ``die`` whether it ends in the middle.
A relit picture is ``ROOT/answer/relit.png`` or, without that, one of a colour; its parameters stay in ``asked.json``.
``ROOT/answer`` holds ``environment.exr``, ``spheres.exr``, ``depth.exr`` and ``preview.png``; of portraits it holds
``faces.json`` and the folder ``head``.
"""

import json
import queue
import re
import shutil
import struct
import sys
import threading
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINES: queue.Queue = queue.Queue()
LAMP = {"kind": "sun", "direction": [0.0, 0.6, 0.8], "irradiance": [3.0, 2.8, 2.4], "angle_deg": 2.0}


def say(kind, **fields):
    """Write one message."""
    print(json.dumps({"version": 1, "type": kind, **fields}), flush=True)


def listen():
    """Gather the parent's lines; its end ends us."""
    for line in sys.stdin:
        LINES.put(json.loads(line))
    LINES.put({"type": "shutdown"})


def cancelled(job):
    """Whether a cancel of ``job`` came in."""
    while not LINES.empty():
        message = LINES.get()
        if message["type"] == "shutdown":
            sys.exit(0)
        if message["type"] == "cancel" and message["id"] == job:
            return True
    return False


def light(job, params, behaviour):
    """Act out an estimate, leave its files in ``params["out"]``."""
    work(job, behaviour, lambda: answer(params))


def work(job, behaviour, finish, stage="Painting the spheres", preview="preview.png"):
    """Take a while, as the behaviour says, then answer with what ``finish()`` gives."""
    steps = 20
    for step in range(steps):
        time.sleep(behaviour.get("seconds", 0.2) / steps)
        if cancelled(job):
            say("error", id=job, code="cancelled", text="Cancelled.", remedy="")
            return
        if behaviour.get("die") and step == steps // 2:
            print("out of memory in layer 7", file=sys.stderr, flush=True)
            sys.exit(9)
        eta = behaviour.get("seconds", 0.2) * (1 - step / steps)
        say("progress", id=job, fraction=step / steps, stage=stage, eta=eta)
        if step == 2:
            say("preview", id=job, path=str(ROOT / "answer" / preview))
    if behaviour.get("fail"):
        text, remedy = behaviour["fail"]
        say("error", id=job, code="bad_input", text=text, remedy=remedy)
        return
    say("result", id=job, data=finish())


def relight(params):
    """Write a relit picture, and a ratio if one is wanted; returns the result."""
    (ROOT / "asked.json").write_text(json.dumps(params))
    source, out = Path(params["source"]), Path(params["out"])
    if out.suffix == ".exr":
        shutil.copy(source, out)
    elif (ROOT / "answer" / "relit.png").is_file():
        shutil.copy(ROOT / "answer" / "relit.png", out)
    else:
        write_png(out, *struct.unpack(">II", source.read_bytes()[16:24]))
    if params["ratio"]:
        shutil.copy(ROOT / "answer" / "environment.exr", params["ratio"])
    shutil.copy(ROOT / "answer" / "preview.png", out.with_name("preview.png"))
    return {
        "version": 1, "source": str(source), "relit": str(out), "ratio": params["ratio"],
        "preview": str(out.with_name("preview.png")), "code_distance": 0.1, "before": 0.4, "model": params["model"],
        "warnings": ["The picture is small."],
    }  # fmt: skip


def find_faces(params):
    """What the answer folder says that the picture shows."""
    (ROOT / "asked.json").write_text(json.dumps(params))
    return json.loads((ROOT / "answer" / "faces.json").read_text())


def make_head(params):
    """Leave the answer's head in the folder that was asked for."""
    (ROOT / "asked.json").write_text(json.dumps(params))
    shutil.copytree(ROOT / "answer" / "head", params["out"])
    names = ("diffuse_albedo", "specular_albedo", "roughness", "normal", "eye", "overlay")
    files = {name: f"{name}.png" for name in names} | {"head": "head.npz"}
    return {"version": 1, "reprojection": 0.011, "files": files, "warnings": ["The photo is dark."]}


def read_splats(params):
    """Give the prepared plain PLY, as if it had y up."""
    shutil.copy(ROOT / "answer" / "splats.ply", params["out"])
    Path(f"{params['out']}.made.json").write_text(json.dumps(params))
    return {"out": params["out"], "count": 3, "y_up": True, "notes": ["Two things were left out."]}


def train_splats(params):
    """Give the prepared plain PLY as what was learnt."""
    (ROOT / "asked.json").write_text(json.dumps(params))
    shutil.copy(ROOT / "answer" / "splats.ply", params["out"])
    Path(f"{params['out']}.made.json").write_text(json.dumps(params))
    return {"out": params["out"], "gaussians": 3, "psnr": {"radiance": 24.1, "joint": 31.5}, "notes": []}


def learn_textures(params):
    """Write three maps of one colour, and give the prepared UVs."""
    (ROOT / "asked.json").write_text(json.dumps(params))
    out = Path(params["out"])
    for name in ("albedo", "metallic", "roughness"):
        write_png(out / f"{name}.png", 4, 4)
    shutil.copy(ROOT / "answer" / "uv.npy", out / "uv.npy")
    out.with_name(f"{out.name}.made.json").write_text(json.dumps(params))
    return {"out": params["out"], "files": {}, "frame": 0, "psnr": {"joint": 31.5}, "notes": ["A note."]}


def mesh_splats(params):
    """Give the prepared mesh; the cloud that came stays beside it."""
    shutil.copy(params["file"], ROOT / "answer" / "asked.ply")
    shutil.copy(ROOT / "answer" / "proxy.ply", params["out"])
    return {"out": params["out"], "vertices": 4, "faces": 4, "closed": True, "notes": []}


def write_png(path, width, height):
    """A picture of one colour with 16 bits a channel: 0x8001, 0x4001, 0x2001."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    rows = (b"\0" + struct.pack(">HHH", 0x8001, 0x4001, 0x2001) * width) * height
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def answer(params):
    """Write the result folder; returns what result.json holds."""
    if params.get("range"):
        return answer_frames(params)
    out = Path(params["out"])
    out.mkdir(parents=True, exist_ok=True)
    probes = []
    for index, probe in enumerate(params["probes"]):
        names = {"environment": f"probe_{index}.exr", "fill": f"probe_{index}_fill.exr"}
        for name in names.values():
            shutil.copy(ROOT / "answer" / "environment.exr", out / name)
        shutil.copy(ROOT / "answer" / "spheres.exr", out / f"probe_{index}_spheres.exr")
        shutil.copy(ROOT / "answer" / "preview.png", out / f"probe_{index}_preview.png")
        probes.append({
            "name": probe["name"], "position_camera": [0.0, 0.0, -4.0], "position_world": [0.0, 0.0, 1.0],
            "radius": probe.get("radius", 0.1), **names, "spheres": f"probe_{index}_spheres.exr",
            "preview": f"probe_{index}_preview.png", "lamps": [LAMP], "mean_radiance": [0.5, 0.5, 0.5], "warnings": [],
            # One take alone has no spread; its number stands in for the other's.
            "spread": None if params["take"] else {"brightness_stops": 0.5, "direction_deg": 11.0},
        })  # fmt: skip
    result = {
        "version": 1, "image": str(params["images"][0]), "frame": params.get("frame", "world"),
        "camera": params.get("camera"), "camera_to_world": params.get("camera_to_world"), "depth_source": "file",
        "warnings": [], "seconds": {"total": 0.2}, "probes": probes,
    }  # fmt: skip
    (out / "result.json").write_text(json.dumps(result))
    return result


def answer_frames(params):
    """Write the result folder of a sequence: every frame has the answer's files, and a sun as strong as its number."""
    (ROOT / "asked.json").write_text(json.dumps(params))
    out, track = Path(params["out"]), json.loads(Path(params["track"]).read_text())["frames"]
    first, last, step = (int(n or 1) for n in re.fullmatch(r"(\d+)-(\d+)x?(\d*)", params["range"]).groups())
    records = []
    for number in range(first, last + 1, step):
        name = f"{number:04d}"
        folder, pattern = Path(params["images"][0]).parent, Path(params["images"][0]).name
        assert (folder / pattern.replace("####", name)).is_file(), f"no picture {number}"
        entries = []
        for index, probe in enumerate(params["probes"]):
            kinds = {"environment": "", "fill": "_fill", "spheres": "_spheres", "preview": "_preview"}
            files = {k: f"probe_{index}{part}/{name}.{'png' if k == 'preview' else 'exr'}" for k, part in kinds.items()}
            for kind, file in files.items():
                (out / file).parent.mkdir(exist_ok=True)
                source = {"fill": "environment.exr", "preview": "preview.png"}.get(kind, f"{kind}.exr")
                shutil.copy(ROOT / "answer" / source, out / file)
            entries.append({
                "name": probe["name"], **files, "lamps": [{**LAMP, "irradiance": [3.0 * number, 2.8, 2.4]}],
                "position_world": track[str(number)]["probes"][probe["name"]]["position_world"], "warnings": [],
                "spread": None,
            })  # fmt: skip
        (out / "frames").mkdir(exist_ok=True)
        (out / "frames" / f"{name}.json").write_text(json.dumps({"number": number}))
        records.append({"number": number, "probes": entries, "warnings": [], "seconds": {"total": 0.1}})
    probes = [{"name": e["name"], "preview": e["preview"].replace(name, "####")} for e in records[-1]["probes"]]
    (out / "result.json").write_text(json.dumps({"version": 1, "warnings": [], "probes": probes, "frames": records}))
    return {"probes": probes, "warnings": [], "frames": []}


def main():
    """Answer requests until the parent closes the wire."""
    threading.Thread(target=listen, daemon=True).start()
    say("ready", kinds=["light", "doctor"], pid=1)
    while True:
        try:
            message = LINES.get(timeout=2)
        except queue.Empty:
            say("heartbeat")
            continue
        behaviour = json.loads((ROOT / "behaviour.json").read_text())
        if message["type"] == "shutdown":
            return
        if message["type"] != "request":
            continue
        say("accepted", id=message["id"])
        if message["kind"] == "light":
            light(message["id"], message["params"], behaviour)
        elif message["kind"] == "relight":
            shown = "relit.png" if (ROOT / "answer" / "relit.png").is_file() else "preview.png"
            work(message["id"], behaviour, lambda asked=message["params"]: relight(asked), "Changing the light", shown)
        elif message["kind"] == "landmarks":
            work(message["id"], behaviour, lambda asked=message["params"]: find_faces(asked), "Looking for faces")
        elif message["kind"] == "face":
            work(message["id"], behaviour, lambda asked=message["params"]: make_head(asked), "Fitting the head")
        elif message["kind"] == "splats":
            work(message["id"], behaviour, lambda asked=message["params"]: read_splats(asked), "Reading splats")
        elif message["kind"] == "splat_train":
            stage = "Stage 1 of 4, radiance: 3 Gaussians, PSNR 24.1 dB"
            work(message["id"], behaviour, lambda asked=message["params"]: train_splats(asked), stage)
        elif message["kind"] == "splat_texture":
            stage = "Stage 1 of 4, radiance: PSNR 24.1 dB"
            work(message["id"], behaviour, lambda asked=message["params"]: learn_textures(asked), stage)
        elif message["kind"] == "splat_mesh":
            work(message["id"], behaviour, lambda asked=message["params"]: mesh_splats(asked), "Fusing view 1 of 48")
        elif message["kind"] == "depth":
            shutil.copy(ROOT / "answer" / "depth.exr", message["params"]["out"])
            said = {"depth": message["params"]["out"], "range_m": [2.0, 4.0], "warnings": ["The scale is a guess."]}
            say("result", id=message["id"], data=said)
        elif message["kind"] == "direction":
            if behaviour.get("fail"):
                text, remedy = behaviour["fail"]
                say("error", id=message["id"], code="bad_input", text=text, remedy=remedy)
            else:
                say("result", id=message["id"], data={"warnings": [], "directions": [behaviour["direction"]]})
        elif message["kind"] == "doctor":
            devices = [{"id": "cpu", "name": "Processor", "memory_gb": 8.0}]
            say("result", id=message["id"], data={"devices": devices, "problems": behaviour.get("problems", [])})


main()
