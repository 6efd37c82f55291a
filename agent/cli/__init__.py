"""The `stairwell` command."""
