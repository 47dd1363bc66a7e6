"""Speed and memory of this program, beside a reference program."""
