"""The machine: its clock, its name, its health, its init system."""
