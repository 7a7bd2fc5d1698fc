"""The project's own chores, run by `make`: the generated parts of the documents, the committed reports."""
