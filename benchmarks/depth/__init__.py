"""A step against the number of layers."""
