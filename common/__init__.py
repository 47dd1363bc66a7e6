"""Everything the scripts share: geometry, data, metrics, the engine and the files it writes."""
