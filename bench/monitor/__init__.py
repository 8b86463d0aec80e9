"""The independent witness: what protects the simulator from being its own judge. Imports no simulator and none of its formats."""
