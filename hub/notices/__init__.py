"""Notices (advis): the adviser of a case is told who the child's coordinator is, and when that changes.

A notice is a row in the transaction of what happened (`record`). What it says is read when it leaves, together with all
that could forbid it (`facts`); then it goes by webhook or mail (`hand_over`), or is read in the feed (`feed`). Beyond
the coordinator it says one thing: the case's id at the source it came from.
"""
