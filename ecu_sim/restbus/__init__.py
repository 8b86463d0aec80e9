"""Cyclic frames of a vehicle, sent and heard by its control units."""
