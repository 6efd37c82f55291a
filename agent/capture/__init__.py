"""Frame sources, privacy masks, the packet ring, the encoder; never vision."""
