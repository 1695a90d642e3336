# SPDX-License-Identifier: GPL-3.0-or-later
"""One door for developers: ``python3 run.py demo | test | build | limelight ARGS… | lint | envs``.

Standard library only. Makes the environments it needs under ``.envs`` (the engine's, and one for each Blender version)
and remembers in each what it was made for, so that the next run starts at once.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVS = ROOT / ".envs"
REQUIREMENTS = ROOT / "bridge" / "requirements-engine.txt"
# mypy is pinned for its plugin's sake, the stubs to the oldest Blender that the extension supports. They are stubs only
# and only in the engine's environment, where there is no Blender: nothing can import them in its place.
TOOLS = ["pytest", "pytest-timeout", "pytest-rerunfailures", "ruff", "mypy==2.4.1", "fake-bpy-module-4-2==20260730",
         "ray==2.60.0"]  # fmt: skip
VALIDATOR = "gltf-validator@2.0.0-dev.3.10"
#: Blender as a Python module: version and the Python it needs.
BLENDERS = {"bpy-4.2": ("4.2.23", (3, 11)), "bpy-5.0": ("5.0.1", (3, 11)), "bpy-5.2": ("5.2.3", (3, 13))}


class Failed(Exception):
    """A step did not work; the message says which and what to do."""


def say(text: str) -> None:
    """A line of progress with the time since the start; stdout is for what a command answers."""
    print(f"[{time.monotonic() - _START:6.1f} s] {text}", file=sys.stderr, flush=True)


_START = time.monotonic()


def call(command: list[str | Path], **options: object) -> None:
    """Run a command, its output shown; raises :class:`Failed` if it fails."""
    done = subprocess.run([str(part) for part in command], check=False, **{"cwd": ROOT, **options})  # type: ignore[call-overload]
    if done.returncode:
        raise Failed(f"{Path(str(command[0])).name} {' '.join(map(str, command[1:4]))} … ended with {done.returncode}.")


def find_python(version: tuple[int, int]) -> Path | None:
    """An installed Python of this version that starts and can make environments."""
    name = f"python{version[0]}.{version[1]}"
    paths = [Path(sys.executable), *(Path(p) for p in [shutil.which(name)] if p)]
    paths += sorted(Path.home().glob(f".pyenv/versions/{version[0]}.{version[1]}*/bin/python"), reverse=True)
    paths += [Path(f"/usr/local/bin/{name}"), Path(f"/opt/homebrew/bin/{name}")]
    question = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    for path in paths:
        if not path.is_file():
            continue
        answer = subprocess.run([path, "-I", "-c", question], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.split() == [str(n) for n in version]:
            return path
    return None


def python_in(name: str) -> Path:
    """The interpreter of one of our environments."""
    return ENVS / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def environment(name: str, version: tuple[int, int], steps: list[list[str]]) -> Path:
    """Make an environment by ``pip install`` of each step in turn, or reuse the one made for the same steps."""
    mark = ENVS / name / "made-for"
    wanted = hashlib.sha256(repr((version, steps)).encode()).hexdigest()
    if mark.is_file() and mark.read_text() == wanted:
        return python_in(name)
    base = find_python(version)
    if base is None:
        raise Failed(f"Python {version[0]}.{version[1]} was not found; install it to use {name}.")
    say(f"Making {name} with {base}")
    if not (mark.is_file() and python_in(name).is_file()):
        # Broken off half-way, if it is there at all: pip takes halves of packages for whole ones.
        shutil.rmtree(ENVS / name, ignore_errors=True)
        call([base, "-m", "venv", ENVS / name])
    mark.unlink(missing_ok=True)
    for packages in steps:
        say(f"  installing {', '.join(packages[:4])}{' …' if len(packages) > 4 else ''}")
        call([python_in(name), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
    mark.write_text(wanted)
    return python_in(name)


def engine(tools: bool = False) -> Path:
    """The engine's environment; with ``tools`` also what tests and checks need."""
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    torch = [line for line in lines if line.startswith("torch==")]
    version = sys.version_info[:2] if (3, 11) <= sys.version_info[:2] <= (3, 13) else (3, 11)
    # Torch alone first: no other package may choose its build.
    python = environment("engine", version, [torch, lines])
    if tools:
        mark = ENVS / "engine" / "tools-for"
        wanted = " ".join(TOOLS)
        if not mark.is_file() or mark.read_text() != wanted:
            say("Adding the tools for tests")
            call([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS])
            mark.write_text(wanted)
    return python


def blender(name: str) -> Path:
    """The environment of one Blender version."""
    version, python = BLENDERS[name]
    return environment(name, python, [[f"bpy=={version}"], ["pytest", "pytest-timeout"]])


def gltf_validator() -> None:
    """Khronos' validator, with which the tests check what is exported, where npm is installed."""
    mark, npm = ENVS / "gltf" / "made-for", shutil.which("npm")
    if npm is None or (mark.is_file() and mark.read_text() == VALIDATOR):
        return
    try:
        call([npm, "install", "--silent", "--prefix", ENVS / "gltf", VALIDATOR])
        mark.write_text(VALIDATOR)
    except Failed as error:
        say(f"SKIPPED: the glTF validator. {error}")


def any_blender() -> Path:
    """Blender 5.2 where its Python is installed, else 4.2."""
    try:
        return blender("bpy-5.2")
    except Failed as error:
        say(f"{error} Using Blender 4.2 instead.")
        return blender("bpy-4.2")


def limelight(arguments: list[str]) -> int:
    """The command line in the engine's environment, in this process's place: a signal for this one is for it."""
    command = [str(part) for part in (engine(), ROOT / "bridge" / "launch.py", "backend", *arguments)]
    if os.name != "nt":
        os.execv(command[0], command)
    # Windows has no such thing; Ctrl-C reaches both, and the command line ends as it should while this one waits.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return subprocess.run(command, check=False).returncode


def demo() -> None:
    """The main job on a real photo and a real scene; leaves its pictures in ``demo/``."""
    blender_python = any_blender()
    call([engine(), ROOT / "bridge" / "launch.py", "benchmarks.demo.main", "--blender", blender_python])


def build() -> Path:
    """The extension's zip, made and validated by Blender's own tool, strictly too."""
    python = any_blender()
    call([python, ROOT / "benchmarks" / "build_extension.py", ROOT, ROOT / "dist"])
    (path,) = sorted((ROOT / "dist").glob("limelight-*.zip"))[-1:]
    say(f"{path} has {path.stat().st_size / 1e6:.1f} MB")
    return path


def lint() -> None:
    """Style and types."""
    python = engine(tools=True)
    call([python, "-m", "ruff", "check", "."])
    # Modules import each other as parts of the package "limelight", whatever this folder is called.
    # The environments may be shared with other working copies, each of which has a folder of its own.
    folder = ENVS / "types" / hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "limelight"
    if not link.is_symlink():
        link.symlink_to(ROOT, target_is_directory=True)
    call(
        [python, "-m", "mypy", "--config-file", ROOT / "pyproject.toml"],
        cwd=folder, env={**os.environ, "MYPYPATH": str(folder)},
    )  # fmt: skip


def test(fast: bool) -> None:
    """Everything that CI runs; ``fast`` leaves out the demo, the installation and the other Blender versions."""
    failed: list[str] = []

    def part(name: str, run: object) -> None:
        say(f"=== {name}")
        try:
            run()  # type: ignore[operator]
        except Failed as error:
            say(f"FAILED: {name}: {error}")
            failed.append(name)

    python = engine(tools=True)
    gltf_validator()
    part("style and types", lint)
    pytest: list[str | Path] = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    part("engine and wire", lambda: call([python, *pytest, "tests/bridge", "tests/engine"]))
    for name in ["bpy-5.2"] if fast else BLENDERS:
        if find_python(BLENDERS[name][1]) is None:
            say(f"SKIPPED: {name} needs Python {BLENDERS[name][1][0]}.{BLENDERS[name][1][1]}, which is not installed.")
            continue
        part(f"add-on in {name}", lambda name=name: call([blender(name), *pytest, "tests/addon"]))
    if not fast:
        part("extension zip", build)
        # A window drawn in software may miss a simulated click's moment on a busy machine: one more try, shown as such.
        part("a real window", lambda: call([python, *pytest, "--reruns", "1", "tests/gui"]))
        part("demo", demo)
        part("demo's outputs", lambda: call([python, *pytest, "tests/demo"]))
    say(f"parts: {'all passed' if not failed else 'FAILED: ' + ', '.join(failed)}")
    if failed:
        raise Failed(f"{len(failed)} parts failed: {', '.join(failed)}")


def step() -> None:
    """Run what the arguments name of a developer's commands."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="limelight ARGS… runs the command line"
    )
    parser.add_argument("command", choices=("demo", "test", "build", "lint", "envs"))
    parser.add_argument("--fast", action="store_true", help="test: only what takes minutes")
    options = parser.parse_args()
    if options.command == "test":
        test(options.fast)
    elif options.command == "envs":
        engine(tools=True)
        gltf_validator()
        for name in BLENDERS:
            blender(name)
    else:
        {"demo": demo, "build": build, "lint": lint}[options.command]()
    say("done")


def main() -> int:
    """Run one command; 0 if it worked."""
    try:
        if sys.argv[1:2] == ["limelight"]:
            return limelight(sys.argv[2:])
        step()
    except Failed as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
