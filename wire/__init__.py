"""Time and wire: clock, world, CAN, ISO-TP, and the formats that both sides share. Knows no device."""
