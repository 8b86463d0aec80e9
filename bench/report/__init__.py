"""Reports of a run: on the terminal for people, as JUnit XML for machines."""
