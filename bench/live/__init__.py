"""The car served in real time in a process of its own, and how others reach it: control socket, live view, frame streams."""
