"""Files: written in whole or not at all, read without running anything in them."""
