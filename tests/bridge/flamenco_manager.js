// SPDX-License-Identifier: GPL-3.0-or-later
// Plays Flamenco Manager's job compiler for a script: node flamenco_manager.js SCRIPT SETTINGS prints type and tasks.
// It has the names that version 3 gives to scripts and refuses what its types refuse: other keys, other kinds of values,
// tasks without a name, dependencies that are never added to the job. Settings that are not given get their default.

"use strict";
const fs = require("fs");
const vm = require("vm");

const KEYS = ["key", "type", "subtype", "choices", "propargs", "description", "label", "default", "eval", "evalInfo",
              "visible", "required", "editable"];
const TYPES = { string: "string", int32: "number", float: "number", bool: "boolean" };
const SUBTYPES = ["file_path", "dir_path", "hashed_file_path"];
const VISIBLE = ["visible", "hidden", "submission", "web"];
const COMMANDS = {
    "blender-render": { exe: "string", exeArgs: "string", argsBefore: "list", blendfile: "string", args: "list" },
};
const made = new Set();

class Task {
    constructor(name, type) {
        check(typeof name === "string" && name.trim() !== "", "author.Task(name, type): name is required");
        check(typeof type === "string" && type.trim() !== "", "author.Task(name, type): type is required");
        this.told = { name: name, type: type, commands: [], dependencies: [] };
        made.add(this);
    }
    addCommand(command) {
        check(command && command.name in COMMANDS, `the worker knows no command '${command && command.name}'`);
        this.told.commands.push(command);
    }
    addDependency(task) {
        check(task instanceof Task, "a dependency is a task");
        this.told.dependencies.push(task);
    }
}

function check(holds, text) {
    if (!holds) throw new Error(text);
}

function command(name, parameters) {
    const kinds = COMMANDS[name] || {};
    for (const key of Object.keys(parameters)) check(key in kinds, `'${name}' has no parameter '${key}'`);
    for (const [key, kind] of Object.entries(kinds)) {
        const value = parameters[key];
        check(kind === "list" ? Array.isArray(value) : typeof value === kind, `'${name}' needs a ${kind} as '${key}'`);
        if (kind === "list") value.forEach((each) => check(typeof each === "string", `'${key}' is a list of strings`));
    }
    return { name: name, parameters: parameters };
}

// As the Manager does it: sorted, merged, runs of two written out.
function frameChunker(range, size) {
    check(typeof range === "string" && range.trim() !== "", "invalid range: empty range");
    check(Number.isInteger(size) && size >= 1, `invalid chunk size, must be positive number: ${size}`);
    const frames = new Set();
    for (const part of range.replaceAll("..", "-").split(",")) {
        const numbers = part.split("-").map((text) => text.trim());
        check(numbers.length <= 2 && numbers.every((n) => /^[0-9]+$/.test(n)), `invalid range "${range}": ${part}`);
        for (let n = Number(numbers[0]); n <= Number(numbers[numbers.length - 1]); n++) frames.add(n);
    }
    const sorted = [...frames].sort((a, b) => a - b);
    const chunks = [];
    for (let i = 0; i < sorted.length; i += size) chunks.push(merged(sorted.slice(i, i + size)));
    return chunks;
}

function merged(frames) {
    const found = [];
    for (let i = 0; i < frames.length;) {
        let j = i;
        while (j + 1 < frames.length && frames[j + 1] === frames[j] + 1) j++;
        if (j > i + 1) found.push(`${frames[i]}-${frames[j]}`);
        else found.push(...frames.slice(i, j + 1).map(String));
        i = j + 1;
    }
    return found.join(",");
}

const path = {
    basename: (p) => p.split(/[\\/]/).pop(),
    dirname: (p) => p.split(/[\\/]/).slice(0, -1).join("/") || ".",
    join: (...parts) => parts.join("/").replace(/\/+/g, "/"),
    stem: (p) => path.basename(p).replace(/\.[^.]*$/, ""),
};

function checkType(type) {
    check(typeof type.label === "string" && Array.isArray(type.settings), "JOB_TYPE needs label and settings");
    for (const setting of type.settings) {
        for (const key of Object.keys(setting)) check(KEYS.includes(key), `setting '${setting.key}' has an unknown '${key}'`);
        check(setting.type in TYPES, `setting '${setting.key}' has the type '${setting.type}'`);
        check(!setting.subtype || SUBTYPES.includes(setting.subtype), `unknown subtype '${setting.subtype}'`);
        check(!setting.visible || VISIBLE.includes(setting.visible), `unknown visibility '${setting.visible}'`);
        if ("default" in setting) {
            check(typeof setting.default === TYPES[setting.type], `default of '${setting.key}' is no ${setting.type}`);
            check(!setting.choices || setting.choices.includes(setting.default), `'${setting.key}' has another default`);
        }
    }
}

function settingsOf(type, given) {
    const found = {};
    for (const setting of type.settings) {
        const value = setting.key in given ? given[setting.key] : setting.default;
        check(value !== undefined || !setting.required, `setting '${setting.key}' is required`);
        if (value !== undefined) check(typeof value === TYPES[setting.type], `setting '${setting.key}' is no ${setting.type}`);
        found[setting.key] = value;
    }
    for (const key of Object.keys(given)) check(key in found, `there is no setting '${key}'`);
    return found;
}

const world = {
    author: { Task: (name, type) => new Task(name, type), Command: command },
    path: path, frameChunker: frameChunker,
    frameCount: (range) => frameChunker(range, 1).length,
    formatTimestampLocal: () => "2026-01-02_030405",
    shellSplit: (text) => text.split(" "),
    print: () => {}, alert: () => {},
};
vm.createContext(world);
vm.runInContext(fs.readFileSync(process.argv[2], "utf8") + "\nthis.found = { JOB_TYPE, compileJob };", world);
const { JOB_TYPE, compileJob } = world.found;
checkType(JOB_TYPE);
const tasks = [];
const job = {
    created: new Date(0), name: "shot",
    settings: settingsOf(JOB_TYPE, JSON.parse(process.argv[3])),
    addTask: (task) => { check(task instanceof Task, "a task is needed"); tasks.push(task); },
};
try {
    compileJob(job);
} catch (error) {
    if (typeof error !== "string") throw error;
    console.log(JSON.stringify({ refused: error }));
    process.exit(0);
}
for (const task of made) check(tasks.includes(task), `task '${task.told.name}' is not in the job`);
console.log(JSON.stringify({
    label: JOB_TYPE.label, settings: job.settings,
    tasks: tasks.map((task) => ({ ...task.told, dependencies: task.told.dependencies.map((each) => each.told.name) })),
}));
