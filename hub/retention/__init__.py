"""What is forgotten when: one table of rules (hub.retention.rules), which a job goes through every night
(hub.retention.forget), and whole cases, whose keys go only when two people have said so (hub.retention.whole)."""
