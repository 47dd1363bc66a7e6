"""Training: the trainer, one epoch, one step, the recipe."""
