"""Training: data, losses, staged runs from a TOML file, export of exact weights."""
