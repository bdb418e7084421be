"""Who plays the customer. Import it as ``dialog_gym.simulators``."""

if __name__ == "simulators":  # imported from the repository root: a second copy of all classes
    raise ImportError("import dialog_gym.simulators, not simulators")
