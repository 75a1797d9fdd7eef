"""What the operator reports about itself: metrics and traces. (Log lines are made in `logs.py`.)

Nothing that decides reads from this folder. Folders that do input or output say here what they
asked and how long it took. Values are counts, times, and names that a status or the code already has: never the text of
a query, an answer or a credential.
"""
