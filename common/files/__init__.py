"""Files: written atomically, read without running anything in them."""
