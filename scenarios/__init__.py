"""What happens on a bench: the scenario model, its verbs, and the library of scenario files."""
