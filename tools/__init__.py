"""Programs for the developer's computer. This is a package so that Python does not find another one with this name."""
