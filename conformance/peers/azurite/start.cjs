// Runs the emulator inside this process and ends it when standard input closes,
// so that it never outlives whoever started it. Arguments are Azurite's own.
"use strict";
const path = require("node:path");
process.stdin.on("end", () => process.exit(0));
process.stdin.on("error", () => process.exit(0));
process.stdin.resume();
// Nothing is kept, so there is nothing to finish: Azurite's own way takes seconds.
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.prependListener(signal, () => process.exit(0));
}

// All its services share one thread. Whoever reads why a test failed should know of it.
const EVERY = 250;
const LONG = 2000;
let last = performance.now();
setInterval(() => {
  const now = performance.now();
  const late = now - last - EVERY;
  last = now;
  if (late > LONG) {
    const seconds = (late / 1000).toFixed(1);
    const at = new Date().toISOString().slice(11, 19);
    process.stderr.write(`Azurite stood still for ${seconds} s until ${at} UTC\n`);
  }
}, EVERY).unref();

const home = path.join(process.cwd(), "node_modules/azurite/dist/src");
// Its sweeps sort the index of all that it stores once for each thing that they remove: after some
// ten thousand messages it answers nobody for minutes. Whoever starts it ends it before they matter.
for (const service of ["blob", "queue"]) {
  require(path.join(home, service, "utils/constants.js")).DEFAULT_GC_INTERVAL_MS = 2 ** 31 - 1;
}
require(path.join(home, "azurite.js"));
