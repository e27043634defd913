"""The lab: a fake carrier, softphones, people, and the private services that tests and the demo stand on.

May use every other package; nothing but the tests uses it.
"""
