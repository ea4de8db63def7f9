// Runs the emulator inside this process and ends it when standard input closes,
// so that it never outlives whoever started it. Arguments are Azurite's own.
"use strict";
process.stdin.on("end", () => process.exit(0));
process.stdin.on("error", () => process.exit(0));
process.stdin.resume();
require(require("node:path").join(process.cwd(), "node_modules/azurite/dist/src/azurite.js"));
