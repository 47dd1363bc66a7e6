"""Scripts that prepare datasets; the datasets themselves lie beside them and are ignored by git."""
