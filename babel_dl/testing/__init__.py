"""What users test with, too: `babel_dl.testing.conformance` holds a backend against the contract. It needs pytest."""
