"""The HTTP API and the live feed: what people, the browser desk and other programs talk to.

`create_app` (app.py) builds it from `WebDeps`; `api.py` is the one way an operation is declared; a folder for each subject holds its
`routes.py` and `types.py`.
"""
