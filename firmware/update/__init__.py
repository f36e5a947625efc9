"""Updates over the network: service.py receives them, and trial.py tests a new image."""
