"""From an official image and an enrolment file to a kit's card: at the depot, on any Debian computer."""
