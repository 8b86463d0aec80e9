"""How fast the bench is, side by side with its peer in one run, as ratios. Run with `make benchmark`."""
