"""MQTT: a client that needs only the library (client.py, packets.py), and the service that uses it."""
