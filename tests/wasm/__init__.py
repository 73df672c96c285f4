"""The tests that need no socket, on Pythons compiled to WebAssembly: `python -m tests.wasm`."""
