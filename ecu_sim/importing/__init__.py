"""ECU profiles made from what others describe (ODX, PDX) or recorded (traces). What is not understood is listed, not dropped."""
