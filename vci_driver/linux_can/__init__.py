"""Linux's own CAN: its frames, error frames, filters and interfaces as the kernel lays them out in memory."""
