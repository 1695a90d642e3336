// SPDX-License-Identifier: GPL-3.0-or-later
// A job type for Flamenco 3: estimates the light of a shot's frames, part by part on many workers, sets it up in a copy
// of the file, and renders that. Copy this file into the folder 'scripts' beside flamenco-manager and restart it.
// Every worker needs the extension enabled, with an engine in its preferences or at the path of the setting 'engine'.

const JOB_TYPE = {
    label: "Limelight: Estimate Light, then Render",
    description: "Estimate the light that falls on probes in every frame, light the scene by it, and render",
    settings: [
        { key: "frames", type: "string", required: true,
          eval: "f'{C.scene.frame_start}-{C.scene.frame_end}'",
          evalInfo: { showLinkButton: true, description: "Scene frame range" },
          description: "Frames to render, e.g. '47', '1-30', '3, 5-10'. Light is estimated from the first to the last" },
        { key: "light_chunk_size", type: "int32", default: 64, propargs: { min: 1, max: 100000 }, visible: "submission",
          description: "Frames of light that one task estimates. Each part is fitted by itself: fewer, longer ones are "
                     + "steadier" },
        { key: "chunk_size", type: "int32", default: 1, propargs: { min: 1, max: 100000 }, visible: "submission",
          description: "Frames that one task renders" },
        { key: "apply", type: "string", default: "world", choices: ["world", "lamps", "domes"], visible: "submission",
          description: "What the light becomes: the World's environment, keyframed lamps, or a dome around each probe" },
        { key: "quality", type: "string", default: "normal", choices: ["draft", "normal", "high"], visible: "submission",
          description: "Effort of the estimate" },
        { key: "probe", type: "string", default: "all", visible: "submission", description: "A probe's name, or all" },
        { key: "engine", type: "string", default: "", visible: "submission",
          description: "The engine's Python on the workers, e.g. a variable of Flamenco; empty: as their preferences say" },
        { key: "render", type: "bool", default: true, visible: "submission",
          description: "Render when the light is there; otherwise stop at the lit file" },

        { key: "render_output_root", type: "string", subtype: "dir_path", required: true, visible: "submission",
          description: "Folder on the shared disk for light, lit file and pictures; the job gets one of its own in it" },
        { key: "render_output_path", type: "string", subtype: "file_path", editable: false,
          eval: "str(Path(abspath(settings.render_output_root), jobname, '{timestamp}', '######'))",
          description: "Where pictures go" },

        { key: "blendfile", type: "string", required: true, visible: "web", description: "The file to light and render" },
        { key: "format", type: "string", required: true, visible: "web",
          eval: "C.scene.render.image_settings.file_format", description: "File format of the pictures" },
    ]
};

// What a picture per frame cannot be.
const VIDEO = ["FFMPEG", "AVI_RAW", "AVI_JPEG"];

function compileJob(job) {
    const settings = job.settings;
    if (settings.render && VIDEO.indexOf(settings.format) >= 0) {
        throw `Pictures can be rendered, not '${settings.format}'. Choose an image format in the output properties.`;
    }
    settings.render_output_path = settings.render_output_path.replace(
        "{timestamp}", formatTimestampLocal(job.created));
    const folder = path.dirname(settings.render_output_path);
    const lit = path.join(folder, `${path.stem(settings.blendfile).replace(".flamenco", "")}.lit.blend`);

    const parts = lightTasks(settings, path.join(folder, "light"));
    const applied = applyTask(settings, path.join(folder, "light"), lit);
    for (const part of parts) {
        job.addTask(part);
        applied.addDependency(part);
    }
    job.addTask(applied);
    for (const task of settings.render ? renderTasks(settings, lit) : []) {
        task.addDependency(applied);
        job.addTask(task);
    }
}

// One task for each part of the range. What it captured stays for the others, in one folder on the shared disk.
function lightTasks(settings, folder) {
    const [first, last] = ends(settings.frames);
    return frameChunker(`${first}-${last}`, settings.light_chunk_size).map((chunk) => {
        const [from, to] = ends(chunk);
        const task = author.Task(`light-${from}-${to}`, "blender");
        task.addCommand(limelight(settings, ["--range", `${from}-${to}`, "--out", folder, "--keep", "--apply", "none"]));
        return task;
    });
}

// Every frame is there by now: this gathers them, lights the scene and saves it beside its light.
function applyTask(settings, folder, lit) {
    const [first, last] = ends(settings.frames);
    const task = author.Task("apply-light", "blender");
    task.addCommand(limelight(settings, [
        "--range", `${first}-${last}`, "--out", folder, "--apply", settings.apply, "--save", lit]));
    return task;
}

function renderTasks(settings, lit) {
    return frameChunker(settings.frames, settings.chunk_size).map((chunk) => {
        const task = author.Task(`render-${chunk}`, "blender");
        task.addCommand(blender(lit, [
            "--render-output", settings.render_output_path,
            "--render-format", settings.format,
            "--render-frame", chunk.split("-").join(".."),
        ]));
        return task;
    });
}

// Blender with Limelight's own command, which takes all that follows it.
function limelight(settings, args) {
    const engine = settings.engine ? ["--engine", settings.engine] : [];
    return blender(settings.blendfile, [
        "--command", "limelight", "light", "--probe", settings.probe, "--quality", settings.quality, ...engine, ...args]);
}

function blender(file, args) {
    return author.Command("blender-render", {
        exe: "{blender}",
        exeArgs: "{blenderArgs}",
        argsBefore: [],
        blendfile: file,
        args: args,
    });
}

// First and last number of frames like '3, 5-10'.
function ends(frames) {
    const numbers = frames.split(/[^0-9]+/).filter((text) => text !== "").map(Number);
    if (numbers.length === 0) {
        throw `There are no frames in '${frames}'. Write them like '1-48' or '3, 5-10'.`;
    }
    return [Math.min(...numbers), Math.max(...numbers)];
}
