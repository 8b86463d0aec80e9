"""The portal behind HTTP: an edge; what it decides is decided in `portal_sim`."""
