"""Drawing clips as GIF, MP4, web page or contact sheet."""
