"""The net backbone: a compact torch network that plays at act level."""
