"""Attacks that try to break a promise: is the epsilon of a mechanism or a trainer true?"""
