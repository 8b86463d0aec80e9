"""Unlock schemes: who holds a lock, what opens it, what ends a grant."""
