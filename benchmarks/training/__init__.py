"""Training a classifier: three networks, everyone's loop."""
