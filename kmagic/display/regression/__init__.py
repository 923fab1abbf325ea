"""The errors of a regression as a card, and of two models beside each other."""
