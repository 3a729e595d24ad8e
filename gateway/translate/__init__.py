"""Between Docker's JSON and the contracts' messages: pure functions, no I/O."""
