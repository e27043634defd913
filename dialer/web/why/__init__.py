"""Why is this not being dialled?"""
