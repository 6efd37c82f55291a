"""The city's side of a fleet: certificate authority, register of kits, enrolment of new ones."""
