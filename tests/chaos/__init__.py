"""Seeded faults against a whole grid on this machine, and what must hold after each. `make chaos` runs a campaign."""
