"""Wiring and life cycle: the only place where rooms meet."""
