"""Who plays the customer. Import it as ``dialog_gym.simulators``."""

if (
    __name__ == "simulators"
):  # the folder was imported from the repository root, as a second copy of every class
    raise ImportError("import dialog_gym.simulators, not simulators")
