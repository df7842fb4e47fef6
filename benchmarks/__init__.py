"""babel_dl beside hand-written native loops: `python -m benchmarks`."""
