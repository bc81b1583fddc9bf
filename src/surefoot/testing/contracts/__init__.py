"""Contract suites: what every implementation of a port must do, as tests to inherit."""
