// Runs `plugin.py` in Pyodide: node run.mjs ROOT PACKAGES PYODIDE [pytest's arguments]
const [, , root, packages, pyodide, ...args] = process.argv;

const { loadPyodide } = await import(pyodide);
// With CI set, hypothesis generates the same cases on every run.
const python = await loadPyodide({ env: process.env.CI ? { CI: process.env.CI } : {} });
for (const [place, folder] of [
  ["/work", root],
  ["/packages", packages],
]) {
  python.FS.mkdirTree(place);
  python.FS.mount(python.FS.filesystems.NODEFS, { root: folder }, place);
}
python.globals.set("arguments", python.toPy(args));
process.exitCode = python.runPython(`
import sys

sys.dont_write_bytecode = True
sys.path[:0] = ["/packages", "/work"]

from tests.wasm.plugin import main

main(arguments)
`);
