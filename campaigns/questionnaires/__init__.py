"""Questionnaires as data: questions, what may be answered, where an answer leads, quotas, and what is wrong with them. Pure.

questions    how they are written            comparing   conditions on answers and leads
answers      what may be answered            flow        where answers lead
checking     what is wrong with one          exploring   whether a question, a branch or a quota can ever come
samples      answers that stand for all      texts       answers and lead variables in texts
"""
