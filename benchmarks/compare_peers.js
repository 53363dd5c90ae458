// Answers the lines of `benchmarks/compare.py` with one of the peers that are written for Node:
//   node compare_peers.js pixelmatch|looks-same FOLDER
// A line in is a JSON list of pairs of paths, a line out the JSON list of how many pixels each pair differs in.
const fs = require("node:fs");
const readline = require("node:readline");
const { pathToFileURL } = require("node:url");

const [name, folder] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${folder}/node_modules/${path}`));

const peers = {
  async pixelmatch() {
    const { default: pixelmatch } = await load("pixelmatch/index.js");
    const { PNG } = (await load("pngjs/lib/png.js")).default;
    return (paths) => {
      const [before, after] = paths.map((path) => PNG.sync.read(fs.readFileSync(path)));
      return pixelmatch(before.data, after.data, null, before.width, before.height, { threshold: 0.1 });
    };
  },
  async "looks-same"() {
    const { default: looksSame } = await load("looks-same/index.js");
    return async ([before, after]) => {
      const found = await looksSame(before, after, { createDiffImage: true, ignoreAntialiasing: true });
      return found.equal ? 0 : found.differentPixels;
    };
  },
};

(async () => {
  const compare = await peers[name]();
  console.log("[]");
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const counts = [];
    for (const pair of JSON.parse(line)) counts.push(await compare(pair));
    console.log(JSON.stringify(counts));
  }
})();
