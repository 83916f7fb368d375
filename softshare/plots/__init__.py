"""Figures: values in, axes out; no training, no files."""
