"""The contract with the city: messages, topics, the outbox, the MQTT link."""
