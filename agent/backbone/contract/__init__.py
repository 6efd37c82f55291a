"""The contract as it is published: the table of messages, their schemas, and an example of each."""
