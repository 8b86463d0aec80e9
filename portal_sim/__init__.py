"""The identity portal as a library: accounts, identity check, two-factor login, issue of unlocks. No clock, no network."""
