"""What runs on the developer's computer. A package of its own, so that another of this name is not found first."""
