"""The store: prepared models by digest, labels that count once, and run records.

From top to bottom, and imports only go down: `http` (the API), `models` and `labels` (what each collection promises),
`files` (a volume or an object store), `tokens`, `logs`, `settings`. Model servers and the operator are its clients;
what it keeps of a model are bytes with a digest, and nothing here reads what is in them.
"""
