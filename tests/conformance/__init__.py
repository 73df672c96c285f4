"""The public checks of `httpcore2_core.testing`: every backend passes them, and they detect every fault in `faults`."""
