"""Drawing clips: one scene, written as GIF, MP4, page or contact sheet."""
