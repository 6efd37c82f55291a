"""Clips: written crash-safe, indexed, bounded."""
