"""Supply: which leads of a project are dialled, in what order, and how long they last."""
