"""What can be wrong with a kit, in words for people: stable codes, severity, text, fix."""
