"""Who answers the customer, and how it learns."""

if __name__ == "agents":
    raise ImportError("import dialog_gym.agents, not agents")
