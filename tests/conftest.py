"""Profiles for property tests: the same examples on every machine, no deadline on a shared one. And pytester, for the plugin."""

from hypothesis import HealthCheck, settings

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci")

pytest_plugins = ["pytester"]
