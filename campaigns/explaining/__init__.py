"""Why is this not dialled? Every gate in the order in which it is asked, with what it says, the rule, its version and its source.

`number`: one number of a project, now or at a past moment. `counts`: a whole list, by what holds each lead back, and what other packs would change.
"""
