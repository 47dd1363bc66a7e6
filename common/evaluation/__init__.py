"""Evaluation: metrics, errors by action, reports."""
