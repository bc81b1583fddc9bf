"""Pure values and seams: the vocabulary every other part of surefoot is written in."""
