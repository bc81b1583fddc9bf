"""What tests of agents need, shipped: models that follow a script, a clock, faults, contract suites."""
