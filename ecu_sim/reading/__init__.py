"""Reads the sections of an ECU profile, one small file a section: `KEYS` and `read(node)`, which gives fields of `EcuProfile`."""
