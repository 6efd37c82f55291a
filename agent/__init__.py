"""The stairwell agent: motion, persons, clips and events from one camera to the city's backbone."""

__version__ = "0.1.0"
