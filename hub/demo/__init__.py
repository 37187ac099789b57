"""A whole town to try the hub on: people, the source systems and a Digital Post to talk to."""
