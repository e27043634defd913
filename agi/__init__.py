"""FastAGI: Asterisk asks what to do with a call, a handler answers.

`protocol` has no I/O, `server` is the asyncio shell, `session` what a handler holds, `routes` says which handler answers what.
Never imports the rest of Waihu.
"""
