"""Why is this not dialled?"""
