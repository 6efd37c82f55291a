"""Pure functions of tracks: rules and the life cycle of events."""
