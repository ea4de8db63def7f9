// Runs the emulator inside this process and ends it when standard input closes,
// so that it never outlives whoever started it. Arguments are Azurite's own.
"use strict";
process.stdin.on("end", () => process.exit(0));
process.stdin.on("error", () => process.exit(0));
process.stdin.resume();
// Nothing is kept, so there is nothing to finish: Azurite's own way takes seconds.
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.prependListener(signal, () => process.exit(0));
}
require(require("node:path").join(process.cwd(), "node_modules/azurite/dist/src/azurite.js"));
