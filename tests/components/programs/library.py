"""A library for programs in other languages: counts words."""

from collections import Counter
from wit_world import exports


class Text(exports.Text):
    def count(self, words):
        return sorted(Counter(words).items())
